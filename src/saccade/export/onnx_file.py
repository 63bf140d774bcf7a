"""ONNX: `saccade.export.onnx(model, path)`, through torch.export."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import saccade
from saccade.atomic import replacing
from saccade.errors import require, unknown_name
from saccade.export.traced import STEP, Stepwise, Unrolled, batch_axis, private_copy

PRECISIONS = ("float", "int8")
#: the keys of the file's metadata
ABOUT = "saccade"


@dataclass(frozen=True)
class OnnxFile:
    """A written graph.

    Args:
        path: the file.
        inputs: names and shapes; -1 is the batch.
        outputs: names, in their order.
        state: of a stream: the inputs that hold its state, zeros at rest; each comes back as the output "next NAME".
    """

    path: Path
    inputs: dict[str, list[int]]
    outputs: list[str]
    state: list[str]


def onnx(
    model: nn.Module,
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    image: bool = False,
    step: bool = False,
    extras: Sequence[str] = (),
    batch: int | None = None,
    precision: str = "float",
    calibration: Tensor | None = None,
) -> OnnxFile:
    """Write a network as one ONNX graph. It computes in the network's type: float32, or float64 for proofs.

        saccade.export.onnx(model, "net.onnx")                     # [T, B, C, H, W] -> logits [T, B, K]
        saccade.export.onnx(model, "net.onnx", image=True)         # [B, C, H, W], shown at every step
        saccade.export.onnx(model, "net.onnx", step=True)          # [B, C, H, W] and the state -> logits [B, K], state

    Args:
        model: a network in evaluation mode: of `create_model`, a `Sequential`, a `Classifier`. It is left as it is.
        path: the file, named something.onnx.
        size: (H, W) of the input; None: the network's `input_size`.
        image: the input is one image for all steps.
        step: one step of a stream: the state is inputs that are zeros at rest, and outputs "next NAME".
        extras: further outputs, some of "gates" (what broadcasts to [T, B, C, H, W]), "rates" (spikes per neuron of
            every layer, [T, B]) and "spikes" (of every layer, [T, B, ...]). T is 1 in the form of one step.
        batch: B; None: any.
        precision: "float", or "int8": weights and activations of convolutions and linear layers in 8 bits, scaled by
            the `calibration`. That changes the network: score it.
        calibration: inputs for "int8", as the graph will be given them, with the batch in its place.

    Raises:
        ValueError: a network that cannot be written (the sentence says why), an unknown output or precision, no size,
            or no calibration.
        MissingExtraError: the extra "export" is not installed.
    """
    path = Path(path)
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if path.suffix != ".onnx":
        raise ValueError(f"ONNX graphs are written as .onnx, but the name given is {path.name!r}.")
    if precision == "int8" and (calibration is None or step):
        missing = "the form of all steps" if step else "calibration=x, inputs from which it takes its scales"
        raise ValueError(f'precision="int8" needs {missing}.')
    if image and step:
        raise ValueError("image=True shows one image at every step, step=True takes one frame a step: choose one.")
    require("onnxscript", "export")
    network = private_copy(model, "ONNX export")
    H, W = _size(network, size)
    dtype = next(network.parameters()).dtype
    frame = torch.rand(batch or 2, network.in_channels, H, W, dtype=dtype)
    with torch.no_grad():
        if step:
            form: Any = Stepwise(network, extras, frame)
            start = (torch.zeros((), dtype=torch.long),) if form.counts else ()
            inputs: tuple[Tensor, ...] = (frame, *start, *form.rest.values())
            state, counted = list(form.rest), [STEP] if form.counts else []
        else:
            form = Unrolled(network, extras, image)
            inputs = (frame if image else frame.expand(network.steps, *frame.shape).contiguous(),)
            state, counted = [], []
        form.eval()(*inputs)
        names = ["x", *counted, *state]
        outputs = ["logits", *(f"next {name}" for name in names[1:]), *form.outputs()]
        axes: list[Any] = [0 if image or step else 1, *(None for _ in counted), *map(batch_axis, state)]
        program = _program(form, inputs, names, outputs, axes, fixed=batch is not None)
    about = {
        "version": saccade.__version__,
        "network": type(model).__name__,
        "form": "step" if step else "image" if image else "sequence",
        "steps": network.steps,
        "classes": network.num_classes,
        "precision": precision,
    }
    with replacing(path) as temporary:
        _write(program, temporary, about, dtype)
        if precision == "int8":
            assert calibration is not None
            from saccade.export.quantized import quantize

            quantize(temporary, calibration)
    shapes = {
        name: [-1 if d == axis and batch is None else n for d, n in enumerate(value.shape)]
        for name, value, axis in zip(names, inputs, axes, strict=True)
    }
    return OnnxFile(path, shapes, outputs, counted + state)


def _size(network: Any, size: tuple[int, int] | None) -> tuple[int, int]:
    found = size or network.input_size
    if found is None:
        raise ValueError(
            f"ONNX graphs are of one size, and this {type(network).__name__} takes any. Say size=(H, W) of its input."
        )
    return found


def _program(
    form: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str], axes: list[Any], fixed: bool
) -> Any:
    """The graph in memory, or a ValueError with the reason in one sentence."""
    batch = torch.export.Dim("batch", min=1)
    dims = [None if axis is None or fixed else {axis: batch} for axis in axes]
    shapes = (dims[0], tuple(dims[1:])) if len(dims) > 1 else (dims[0],)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's exporter about its own parts
            exported = torch.export.export(form, inputs, dynamic_shapes=shapes, strict=False)
            program = torch.onnx.export(exported, input_names=names, output_names=outputs, dynamo=True, verbose=False)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        hint = " With batch=1 it may be sayable." if not fixed else ""
        raise ValueError(f"This network cannot be written as ONNX: {reason}.{hint}") from error
    assert program is not None
    return program


def _write(program: Any, path: Path, about: dict[str, Any], dtype: torch.dtype) -> None:
    import onnx as library

    proto = program.model_proto
    if dtype == torch.float64:
        from saccade.export.double import without_missing_kernels

        without_missing_kernels(proto)
    for node in proto.graph.node:
        del node.metadata_props[:]  # where in whose source it was traced: more than half of a small file
    entry = proto.metadata_props.add()
    entry.key, entry.value = ABOUT, json.dumps(about)
    library.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
