"""Networks in the formats of others: ONNX and NIR."""

from saccade.export.frozen import FrozenGate, freeze_gates, leave_out_gates
from saccade.export.nir_graph import nir
from saccade.export.nir_network import from_nir
from saccade.export.onnx_file import OnnxFile, onnx

__all__ = ["FrozenGate", "OnnxFile", "freeze_gates", "from_nir", "leave_out_gates", "nir", "onnx"]
