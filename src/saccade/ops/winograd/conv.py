"""Convolutions that take Winograd's way where it is open and faster, and torch's elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from saccade.ops.lif import cpu
from saccade.ops.plumbing.reuse import FROM, empty_strided
from saccade.ops.plumbing.threads import cut, parts_of, run_parts

NARROWEST = 128  # channels: below, the transforms cost what the multiplications save
FEWEST = 256  # tiles: below, transforming the weights costs more
CACHE = 4 << 20  # bytes of tiles at a time in each thread: a fair share of a third-level cache

FORWARD, WEIGHTS = 8, 4  # channels per pixel from which oneDNN is faster with planes than channels last
PACKED = 32  # the same for weights that are in its own order already

ONES: list[Any] = [[0, 0], [1, 1], [1, 1], 16]  # padding, stride, dilation, groups of the sixteen products
BIAS = 5  # the product that adds to all four outputs of a tile: A^T e A = 1 for e = 1 there and 0 elsewhere


class Geometry(NamedTuple):
    """How a convolution moves over its input, in the order of torch.conv2d's arguments."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


SAME = Geometry((1, 1), (1, 1), (1, 1), 1)  # the one that Winograd's way is for


def suits(x: Tensor, weight: Tensor, geometry: Sequence[Any]) -> bool:
    """Whether Winograd's way is open, and worth it, for x [N, C, H, W] and weight [K, C, 3, 3]."""
    if tuple(weight.shape[2:]) != (3, 3) or tuple(geometry) != SAME or x.dtype != torch.float32:
        return False
    if x.device.type != "cpu" or min(weight.shape[:2]) < NARROWEST or cpu.unavailable():
        return False
    tiles = len(x) * math.ceil(x.shape[2] / 2) * math.ceil(x.shape[3] / 2)
    return packs_weights() and bool(torch.backends.mkldnn.enabled) and tiles >= FEWEST


def packs_weights() -> bool:
    """Whether torch can bring a convolution's weight into oneDNN's own order ahead of time."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")


def in_planes(x: Tensor, weight: Tensor, per_pixel: int) -> bool:
    """Whether oneDNN is faster with one plane per channel of x [N, C, H, W] in memory than channels last.

    So it is, up to five times, with many channels of few pixels: of the result and of the gradient of the input with
    FORWARD channels per pixel (PACKED, where the other way has its weights packed), of the gradient of the weights with
    WEIGHTS (measured, see LOG.md). bfloat16 is faster channels last throughout.
    """
    channels, pixels = min(weight.shape[:2]), x.shape[2] * x.shape[3]
    return (
        x.dtype != torch.bfloat16
        and channels >= max(NARROWEST, per_pixel * pixels)
        and pixels > 1
        and weight[0, 0].numel() > 1
    )


def met(weight: Tensor, geometry: Geometry, size: Sequence[int]) -> tuple[Tensor, Geometry]:
    """The part of a kernel [K, C, h, w] that meets any pixel of a frame of that size (H, W), and how it moves.

    On a frame of one pixel, a 3 x 3 kernel meets it with its centre alone: the rest would be multiplied with padding.
    """
    taps, paddings = [], []
    for n, k, s, p, d in zip(size, weight.shape[2:], *geometry[:3], strict=True):
        last = (n + 2 * p - d * (k - 1) - 1) // s
        first, end = max(0, -((last * s - p) // d)), min(k, (n - 1 + p) // d + 1)
        padding = p - d * first
        moves = first < end and padding >= 0 and (n + 2 * padding - d * (end - first - 1) - 1) // s == last
        if not moves:  # no pixel is met, or the padding would differ from side to side
            first, end, padding = 0, k, p
        taps.append(slice(first, end))
        paddings.append(padding)
    if all(tap == slice(0, k) for tap, k in zip(taps, weight.shape[2:], strict=True)):
        return weight, geometry
    part = Part.apply(weight, (slice(None), slice(None), *taps))
    return part, geometry._replace(padding=tuple(paddings))


class Part(torch.autograd.Function):
    """(x, slices) -> x[slices], dense; backward is one pass over memory, where autograd's own is one for each slice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, part: tuple[slice, ...]) -> Tensor:
        ctx.shape, ctx.part = x.shape, part
        return x[part].contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        whole = grad.new_zeros(ctx.shape)
        whole[ctx.part] = grad
        return whole, None


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
    """torch.conv2d(x, weight, bias, stride, padding, dilation, groups), which autograd does not follow.

    Weight and bias are rounded to x's type.
    """
    weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    if suits(x, weight, geometry):
        return PackedConv(weight, bias)(x)
    if in_planes(x, weight, FORWARD):
        return torch.conv2d(x.contiguous(), weight, bias, *geometry).contiguous(memory_format=torch.channels_last)
    sides = zip(x.shape[2:], weight.shape[2:], *geometry[:3], strict=True)
    H, W = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)
    N, K = len(x), len(weight)
    size = K * H * W * x.element_size()
    if x.device.type != "cpu" or N * size < FROM:
        return torch.conv2d(x, weight, bias, *geometry)
    # in pieces, since torch would ask the system for fresh memory for a result of this size (see `ops.plumbing.reuse`)
    out = empty_strided((N, K, H, W), (K * H * W, 1, W * K, K), x.dtype)
    frames = max(1, CACHE // size)
    for piece, target in zip(x.split(frames), out.split(frames), strict=True):
        target.copy_(torch.conv2d(piece, weight, bias, *geometry))
    return out


def convolve_back(
    grad: Tensor, x: Tensor, weight: Tensor, bias_shape: list[int] | None, geometry: Geometry, wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, weight and bias, those that are wanted, from that of the convolution's output."""
    of_input, kept_as, weight = None, weight.dtype, weight.to(x.dtype)
    if wanted[0] and suits(grad, weight, geometry):
        of_input = PackedConv(weight.flip(2, 3).transpose(0, 1), None)(grad)
        wanted = [False, *wanted[1:]]
    if not any(wanted):
        return of_input, None, None
    stride, padding, dilation, groups = geometry

    def back(grad: Tensor, x: Tensor, *wanted: bool) -> tuple[Tensor, Tensor, Tensor]:
        return torch.ops.aten.convolution_backward(
            grad, x, weight, bias_shape, stride, padding, dilation, False, [0, 0], groups, wanted
        )

    if in_planes(x, weight, WEIGHTS):
        planes = grad.contiguous(), x.contiguous()
        if wanted[0] and not in_planes(x, weight, FORWARD):
            of_input, wanted = back(grad, x, True, False, False)[0], [False, *wanted[1:]]
        grad, x = planes
    found = back(grad, x, *wanted)
    of_weight, of_bias = (None if of is None else of.to(kept_as) for of in found[1:])
    return (found[0] if of_input is None else of_input), of_weight, of_bias


class Convolution(torch.autograd.Function):
    """(x, weight, bias, geometry) -> `convolve` of them, with gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.bias, ctx.geometry = None if bias is None else list(bias.shape), geometry
        return convolve(x, weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return *convolve_back(grad, x, weight, ctx.bias, ctx.geometry, [*ctx.needs_input_grad[:3]]), None


class PackedConv:
    """One weight [K, C, 3, 3], transformed; `conv(x)` is its convolution with padding 1: [N, C, H, W] -> [N, K, H, W].

    Args:
        weight, bias: float32, or float64 to check the algebra.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.outputs, self.inputs = weight.shape[:2]
        points = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=weight.dtype)
        taps = weight.detach().reshape(-1, 9).t()
        self.weight = torch.mm(torch.kron(points, points), taps).view(16 * self.outputs, self.inputs, 1, 1)
        self.bias = None
        if bias is not None:
            self.bias = bias.new_zeros(16, self.outputs)
            self.bias[BIAS] = bias.detach()
            self.bias = self.bias.flatten()
        self.packed: tuple[int, Tensor] | None = None

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """x in any layout -> channels last."""
        from saccade.ops.winograd import kernel

        N, C, H, W = x.shape
        across, units = math.ceil(W / 2), N * math.ceil(H / 2)
        parts = parts_of(x.numel(), units)
        at_once = CACHE // (16 * across * max(C, self.outputs) * x.element_size())
        chunks = math.ceil(units / parts / max(1, at_once))
        size = math.ceil(units / parts / chunks)  # equal chunks: packed weights are for one number of tiles
        K = self.outputs
        y = empty_strided((N, H, W, K), (H * W * K, W * K, K, 1), x.dtype)
        source, target = x.detach().permute(0, 2, 3, 1).contiguous().view(N, H, W * C).numpy(), y.view(N, H, -1).numpy()
        weight = self._packed(size * across, x.dtype)

        def convolve_part(part: int) -> None:
            first, last = cut(units, part, parts)
            tiles = empty_strided((size * across, 16, C), (16 * C, C, 1), x.dtype)
            with torch.no_grad():
                for unit in range(first, last, size):
                    end = min(unit + size, last)
                    kernel.scatter(source, tiles.numpy(), unit, end)
                    kernel.gather(self._multiply(tiles, weight).numpy(), target, unit, end)

        run_parts(parts, convolve_part)
        return y.permute(0, 3, 1, 2)

    def _packed(self, tiles: int, dtype: torch.dtype) -> Tensor:
        """The weight in the order that oneDNN wants for so many tiles; another order would be changed at every call."""
        if dtype != torch.float32:
            return self.weight
        if self.packed is None or self.packed[0] != tiles:
            shape = [1, 16 * self.inputs, 1, tiles]
            self.packed = tiles, torch.ops.mkldnn._reorder_convolution_weight(self.weight, *ONES, shape)
        return self.packed[1]

    def _multiply(self, tiles: Tensor, weight: Tensor) -> Tensor:
        """The sixteen products [tiles, C] x [C, K]: [tiles, 16, C] -> [tiles, 16, K]."""
        x = tiles.view(1, 1, len(tiles), -1).permute(0, 3, 1, 2)
        if weight.is_mkldnn:
            m = torch.ops.mkldnn._convolution_pointwise(x, weight, self.bias, *ONES, "none", [], "")
        else:
            m = torch.conv2d(x, weight, self.bias, groups=16)
        return m.permute(0, 2, 3, 1).reshape(len(tiles), 16, -1)
