"""How many operations a primitive of torch performs: the arithmetic behind `probe.counting`.

Every rule takes the arguments and the result of one aten call and returns `Operations`. Products with the zeros of a
padding are no operations, here and for dense layers alike: a spike never sits there, and a multiplier need not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import torch
from torch import Tensor


@dataclass
class Operations:
    """Numbers of operations."""

    #: products of a convolution or matrix product, zeros included
    connections: int = 0
    #: those of them whose input is not zero
    synops: int = 0
    #: multiplications whose product is added to a sum
    macs: int = 0
    #: additions to a sum of a weight that a spike (an input that is 0 or 1) selects
    acs: int = 0
    #: multiplications and additions of two tensors, or in a mean
    muls: int = 0
    adds: int = 0
    #: sigmoids and the like
    functions: int = 0
    #: inputs of the convolutions and matrix products, and how many of them are not zero
    inputs: int = 0
    active: int = 0

    def __iadd__(self, other: Operations) -> Operations:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))
        return self


@dataclass(frozen=True)
class Call:
    """One aten call: `pads` are the zeros around its first argument, as for `torch.nn.functional.pad`."""

    args: Sequence[Any]
    out: Any
    #: whether spikes are added instead of multiplied; False for networks without spikes
    spiking: bool
    is_weight: Callable[[Any], bool]
    pads: Sequence[int] = ()


def is_binary(x: Tensor) -> bool:
    """Whether all entries are 0 or 1."""
    return bool(((x == 0) | (x == 1)).all())


def taps(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """How many products each of `inputs` places takes part in, along one axis of a convolution: int64 [inputs].

    Output o reads place o * stride - padding + k * dilation for k = 0 .. kernel - 1, where there is one.
    """
    place = torch.arange(outputs)[:, None] * stride - padding + torch.arange(kernel) * dilation
    return torch.bincount(place[(place >= 0) & (place < inputs)], minlength=inputs)


def taps_transposed(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """The same for a transposed convolution: place i feeds output i * stride - padding + k * dilation."""
    place = torch.arange(inputs)[:, None] * stride - padding + torch.arange(kernel) * dilation
    return ((place >= 0) & (place < outputs)).sum(1)


def fan_out(call: Call) -> Tensor:
    """Products per input place of a convolution, [*space of the input], zeros in the padding of `call.pads`."""
    x, weight, _, stride, padding, dilation, transposed, _, groups = call.args[:9]
    count = taps_transposed if transposed else taps
    outputs = weight.shape[1] if transposed else weight.shape[0] // groups
    result = torch.tensor(outputs)
    axes = x.ndim - 2
    for axis in range(axes):
        i = axis if len(stride) > 1 else 0
        size = x.shape[2 + axis]
        along = count(size, call.out.shape[2 + axis], weight.shape[2 + axis], stride[i], padding[i], dilation[i])
        before, after = _pads_of(call.pads, axes - 1 - axis)
        along[:before] = 0
        along[size - after :] = 0
        result = result[..., None] * along
    return result


def convolution(call: Call) -> Operations:
    """aten.convolution, of any dimension, grouped, dilated or transposed."""
    x = call.args[0]
    fan = fan_out(call).to(x.device)
    connections = int(fan.sum()) * x.shape[0] * x.shape[1]
    synops = int(((x != 0).sum(dim=(0, 1)) * fan).sum())
    inside = (fan > 0).expand_as(x) if call.pads else torch.ones_like(x, dtype=torch.bool)
    return _products(call, x, connections, synops, int(inside.sum()))


def matrix_product(call: Call) -> Operations:
    """aten.mm and aten.bmm: [..., m, k] x [..., k, n]."""
    a, b = call.args[:2]
    connections = a.numel() * b.shape[-1]
    if call.is_weight(a) or (not call.is_weight(b) and not is_binary(a) and is_binary(b)):
        return _products(call, b, connections, int(b.count_nonzero()) * a.shape[-2], b.numel())
    return _products(call, a, connections, int(a.count_nonzero()) * b.shape[-1], a.numel())


def matrix_product_plus(call: Call) -> Operations:
    """aten.addmm and aten.baddbmm; what is added starts the sum, if it is a bias."""
    start, *factors = call.args[:3]
    found = matrix_product(Call(factors, call.out, call.spiking, call.is_weight))
    if not call.is_weight(start):
        found.adds += call.out.numel()
    return found


def multiplication(call: Call) -> Operations:
    """One multiplication for each entry of the result."""
    return Operations(muls=call.out.numel())


def addition(call: Call) -> Operations:
    """One addition for each entry of the result."""
    return Operations(adds=call.out.numel())


def total(call: Call) -> Operations:
    """A sum over axes: one addition less than there are entries, for each result."""
    return Operations(adds=call.args[0].numel() - call.out.numel())


def running_total(call: Call) -> Operations:
    """A sum up to every place of an axis: one addition for each result but the first of the axis."""
    return Operations(adds=call.out.numel() - call.out.numel() // call.out.shape[call.args[1]])


def mean(call: Call) -> Operations:
    """A sum over axes, and one multiplication for each result."""
    return Operations(adds=call.args[0].numel() - call.out.numel(), muls=call.out.numel())


def average_pool(call: Call) -> Operations:
    """k additions less one, and one multiplication, for each result."""
    kernel = call.args[1]
    size = prod(kernel) if len(kernel) > 1 else kernel[0] ** (call.out.ndim - 2)
    return Operations(adds=call.out.numel() * (size - 1), muls=call.out.numel())


def adaptive_pool(call: Call) -> Operations:
    """The same, with windows that may overlap: every place is read once or more, counted by the windows' sizes."""
    reads = 1
    for before, after in zip(call.args[0].shape[2:], call.out.shape[2:], strict=True):
        reads *= sum(-(-(i + 1) * before // after) - i * before // after for i in range(after))
    images = call.out.shape[0] * call.out.shape[1]
    return Operations(adds=images * reads - call.out.numel(), muls=call.out.numel())


def function(call: Call) -> Operations:
    """One evaluation for each entry of the result."""
    return Operations(functions=call.out.numel())


def _products(call: Call, x: Tensor, connections: int, synops: int, inputs: int) -> Operations:
    found = Operations(connections=connections, synops=synops, inputs=inputs, active=int(x.count_nonzero()))
    if call.spiking and is_binary(x):
        found.acs = synops
    else:
        found.macs = connections
    return found


def _pads_of(pads: Sequence[int], axis_from_last: int) -> tuple[int, int]:
    before, after = pads[2 * axis_from_last : 2 * axis_from_last + 2] or (0, 0)
    return max(0, before), max(0, after)


RULES: dict[str, Callable[[Call], Operations]] = {
    "convolution": convolution,
    "mm": matrix_product,
    "bmm": matrix_product,
    "addmm": matrix_product_plus,
    "baddbmm": matrix_product_plus,
    "mul": multiplication,
    "div": multiplication,
    "add": addition,
    "sub": addition,
    "rsub": addition,
    "sum": total,
    "cumsum": running_total,
    "mean": mean,
    "avg_pool1d": average_pool,
    "avg_pool2d": average_pool,
    "_adaptive_avg_pool2d": adaptive_pool,
    "sigmoid": function,
    "tanh": function,
    "gelu": function,
    "exp": function,
    "log": function,
    "pow": function,
    "sqrt": function,
    "_softmax": function,
}

_FREE = """
    view _unsafe_view _reshape_alias expand permute transpose t unsqueeze squeeze slice select split split_with_sizes
    unbind unfold alias detach as_strided clone copy _to_copy contiguous cat stack constant_pad_nd lift_fresh
    index index_select gather scatter roll flip repeat
    empty empty_like new_empty empty_strided new_empty_strided zeros zeros_like new_zeros ones ones_like new_ones
    full full_like new_full arange scalar_tensor fill zero randint rand bernoulli
    eq ne lt le gt ge logical_and logical_or logical_not where masked_fill neg abs sign relu clamp clamp_min clamp_max
    maximum minimum amax amin max min argmax argmin max_pool2d_with_indices _local_scalar_dense
"""
#: calls without arithmetic: views, copies, constants, comparisons, selections
FREE = frozenset(_FREE.split())
