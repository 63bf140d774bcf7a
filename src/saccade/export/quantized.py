"""ONNX graphs in 8 bits, by ONNX Runtime's own quantization."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from saccade.errors import require

#: what becomes 8 bits; neurons, sums and sigmoids stay in float
QUANTIZED = ("Conv", "Gemm", "MatMul")


def quantize(path: Path, calibration: Tensor) -> None:
    """Write the float32 graph at `path` again with 8-bit weights, scaled per channel, and 8-bit activations.

    The scales of the activations are the smallest and largest numbers that the calibration inputs bring about.
    """
    library: Any = require("onnxruntime.quantization", "export")
    preprocess: Any = require("onnxruntime.quantization.shape_inference", "export")

    class Calibration(library.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter([{"x": calibration.numpy(force=True)}])

        def get_next(self) -> Any:
            return next(self.left, None)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # its advice goes to the root logger
    try:
        with TemporaryDirectory() as folder:
            inferred, written = Path(folder) / "inferred.onnx", Path(folder) / "int8.onnx"
            preprocess.quant_pre_process(str(path), str(inferred), skip_symbolic_shape=True)
            library.quantize_static(
                str(inferred),
                str(written),
                Calibration(),
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=library.QuantType.QUInt8,
                weight_type=library.QuantType.QInt8,
            )
            path.write_bytes(written.read_bytes())
    finally:
        root.setLevel(level)
