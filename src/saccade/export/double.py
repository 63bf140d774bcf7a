"""ONNX graphs in float64 from operations that ONNX Runtime has kernels for in float64.

It has none for convolutions, average poolings and the error function. A convolution is then a gathering of the pixels
under every position of the kernel and a matrix product, an average pooling the same with a mean; the error function
alone is computed in float32. For proofs: they are slower than the float32 graph.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from saccade.errors import require


def without_missing_kernels(proto: Any) -> None:
    """Replace, in place, every such operation on float64 tensors of a model."""
    onnx = require("onnx", "export")
    inferred = onnx.shape_inference.infer_shapes(proto)
    values = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    types = {value.name: value.type.tensor_type for value in values}
    shapes = {name: [d.dim_value for d in kind.shape.dim] for name, kind in types.items()}
    shapes.update({w.name: list(w.dims) for w in proto.graph.initializer})
    builder = _Builder(onnx, shapes, [])
    for node in proto.graph.node:
        done = _REPLACED.get(node.op_type)
        if done is None:
            builder.nodes.append(node)
        else:
            done(builder, node)
    del proto.graph.node[:]
    proto.graph.node.extend(builder.nodes)


class _Builder:
    """The nodes of the new graph."""

    def __init__(self, onnx: Any, shapes: dict[str, list[int]], nodes: list[Any]) -> None:
        self.onnx, self.shapes, self.nodes = onnx, shapes, nodes

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """A node; returns the name of what it gives."""
        output = output or f"float64_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: Any) -> str:
        """A constant of int64 or float64."""
        array = np.asarray(value)
        return self.add("Constant", [], value=self.onnx.numpy_helper.from_array(array))

    def attributes(self, node: Any) -> dict[str, Any]:
        """A node's own, as Python values."""
        return {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}


class _Windows(NamedTuple):
    """What a kernel sees at its places, [N, C, taps, places]."""

    name: str
    taps: int
    places: int
    #: the sizes of what is computed from it
    outputs: list[int]


def _windows(builder: _Builder, node: Any, kernel: list[int]) -> _Windows:
    given = builder.attributes(node)
    dims = len(kernel)
    pads = list(given.get("pads", [0] * 2 * dims))
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or given.get("ceil_mode"):
        raise ValueError(f"{node.op_type} with automatic paddings has no float64 form. Export the network in float32.")
    x = node.input[0]
    channels, *sizes = builder.shapes[x][1:]
    stride, dilation = (list(given.get(name, [1] * dims)) for name in ("strides", "dilations"))
    padded = [n + a + b for n, a, b in zip(sizes, pads[:dims], pads[dims:], strict=True)]
    places, outputs = _places(padded, kernel, stride, dilation)
    if any(pads):
        x = builder.add("Pad", [x, builder.constant(np.array([0, 0, *pads[:dims], 0, 0, *pads[dims:]]))])
    flat = builder.add("Reshape", [x, builder.constant(np.array([0, channels, -1]))])
    seen = builder.add("Gather", [flat, builder.constant(places)], axis=2)
    return _Windows(seen, places.shape[0], places.shape[1], outputs)


def _places(
    sizes: list[int], kernel: list[int], stride: list[int], dilation: list[int]
) -> tuple[np.ndarray, list[int]]:
    """[kernel, outputs]: where in a flattened frame every output reads, and the outputs' sizes."""
    outputs = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
    axes = [
        np.arange(k)[:, None] * d + np.arange(o) * s
        for k, o, s, d in zip(kernel, outputs, stride, dilation, strict=True)
    ]
    if len(sizes) == 1:
        return axes[0], outputs
    rows, columns = axes
    found = rows[:, None, :, None] * sizes[1] + columns[None, :, None, :]
    return found.reshape(kernel[0] * kernel[1], -1), outputs


def _conv(builder: _Builder, node: Any) -> None:
    _, weight, *bias = node.input
    out, per_group, *kernel = builder.shapes[weight]
    groups = builder.attributes(node).get("group", 1)
    seen = _windows(builder, node, kernel)
    taps = seen.taps * per_group
    columns = builder.add("Reshape", [seen.name, builder.constant(np.array([0, groups, taps, seen.places]))])
    rows = builder.add("Reshape", [weight, builder.constant(np.array([groups, out // groups, taps]))])
    y = builder.add("MatMul", [rows, columns])
    shape = builder.constant(np.array([0, out, *seen.outputs]))
    if not bias:
        builder.add("Reshape", [y, shape], node.output[0])
        return
    y = builder.add("Reshape", [y, shape])
    wide = builder.add("Reshape", [bias[0], builder.constant(np.array([out, *[1] * len(kernel)]))])
    builder.add("Add", [y, wide], node.output[0])


def _average(builder: _Builder, node: Any) -> None:
    given = builder.attributes(node)
    if any(given.get("pads", ())) and not given.get("count_include_pad"):
        raise ValueError("An average pooling that leaves paddings out has no float64 form. Export in float32.")
    seen = _windows(builder, node, list(given["kernel_shape"]))
    mean = builder.add("ReduceMean", [seen.name, builder.constant(np.array([2]))], keepdims=0)
    channels = builder.shapes[node.input[0]][1]
    builder.add("Reshape", [mean, builder.constant(np.array([0, channels, *seen.outputs]))], node.output[0])


def _erf(builder: _Builder, node: Any) -> None:
    kinds = builder.onnx.TensorProto
    single = builder.add("Cast", [node.input[0]], to=kinds.FLOAT)
    builder.add("Cast", [builder.add("Erf", [single])], node.output[0], to=kinds.DOUBLE)


def _gelu(builder: _Builder, node: Any) -> None:
    x = node.input[0]
    half, root = builder.constant(np.float64(0.5)), builder.constant(np.float64(0.5**0.5))
    kinds = builder.onnx.TensorProto
    single = builder.add("Cast", [builder.add("Mul", [x, root])], to=kinds.FLOAT)
    erf = builder.add("Cast", [builder.add("Erf", [single])], to=kinds.DOUBLE)
    share = builder.add("Mul", [builder.add("Add", [erf, builder.constant(np.float64(1))]), half])
    builder.add("Mul", [x, share], node.output[0])


_REPLACED = {"Conv": _conv, "AveragePool": _average, "Erf": _erf, "Gelu": _gelu}
