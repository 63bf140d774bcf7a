"""Networks in the formats of others: ONNX."""

from saccade.export.onnx_file import OnnxFile, onnx

__all__ = ["OnnxFile", "onnx"]
