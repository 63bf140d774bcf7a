"""Sigmoid, product and gating of spikes in one Triton kernel per direction; torch operators, as in `ops/lif`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saccade.ops.layout import empty_as, laid_out_as
from saccade.ops.lif.triton import WARPS, device_of

BLOCK = WARPS * 32 * 4
ROWS, COLS = 16, 32  # pixels and channels that a program of the planes' kernels has in hand


def _regular(x: Tensor) -> Tensor:
    """x itself if its pictures follow each other with channels first or last; else a contiguous copy."""
    return x if x.is_contiguous() or x.movedim(2, 4).is_contiguous() else x.contiguous()


def _like(x: Tensor, y: Tensor) -> Tensor:
    """x in the memory layout of y, which is `_regular`; a copy where it is laid out otherwise."""
    return x if x.stride() == y.stride() else empty_as(y).to(x.dtype).copy_(x)


@torch.library.custom_op("saccade::gate", mutates_args=(), schema="(Tensor spikes, Tensor a, Tensor? b) -> Tensor")
def gate(spikes: Tensor, a: Tensor, b: Any) -> Tensor:
    """sigmoid(a * b) * spikes; a and b in the spikes' shape, or a alone [T, B, C, 1, 1]."""
    from saccade.ops.gate import triton_kernel

    spikes = _regular(spikes)
    y = empty_as(spikes)
    if not spikes.numel():
        return y
    with device_of(spikes):
        if a.shape != spikes.shape:
            grid, sizes, tiles = _planes(spikes)
            triton_kernel.forward_planes[grid](spikes, a.contiguous(), y, *sizes, **tiles, num_warps=WARPS)
        else:
            a, b = _like(a, spikes), None if b is None else _like(b, spikes)
            triton_kernel.forward[(-(-y.numel() // BLOCK),)](
                spikes, a, a if b is None else b, y, y.numel(), TWO=b is not None, BLOCK=BLOCK, num_warps=WARPS
            )
    return y


def _planes(x: Tensor) -> tuple[tuple[int, int], tuple[int, int], dict[str, Any]]:
    T, B, C, H, W = x.shape
    last = not x.is_contiguous() or C == 1
    cols, rows = (COLS, ROWS) if last else (1, ROWS * COLS)
    return (T * B, -(-C // cols)), (C, H * W), {"LAST": last, "ROWS": rows, "COLS": cols}


@torch.library.custom_op(
    "saccade::gate_backward", mutates_args=(),
    schema="(Tensor grad, Tensor spikes, Tensor a, Tensor? b) -> (Tensor, Tensor, Tensor)",
)  # fmt: skip
def _gate_backward(grad: Tensor, spikes: Tensor, a: Tensor, b: Any) -> tuple[Tensor, Tensor, Tensor]:
    from saccade.ops.gate import triton_kernel

    spikes = _regular(spikes)
    grad = _like(laid_out_as(grad, spikes), spikes)
    grad_spikes = empty_as(spikes)
    planes = a.shape != spikes.shape
    a = a.contiguous() if planes else _like(a, spikes)
    grad_a = torch.empty_like(a)
    b = None if b is None else _like(b, spikes)
    grad_b = a.new_empty(0) if b is None else torch.empty_like(b)
    if not spikes.numel():
        return grad_spikes, grad_a.zero_(), grad_b
    with device_of(spikes):
        if planes:
            grid, sizes, tiles = _planes(spikes)
            triton_kernel.backward_planes[grid](grad, spikes, a, grad_spikes, grad_a, *sizes, **tiles, num_warps=WARPS)
        else:
            other = a if b is None else b
            triton_kernel.backward[(-(-spikes.numel() // BLOCK),)](
                grad, spikes, a, other, grad_spikes, grad_a, grad_a if b is None else grad_b, spikes.numel(),
                TWO=b is not None, BLOCK=BLOCK, num_warps=WARPS,
            )  # fmt: skip
    return grad_spikes, grad_a, grad_b


@gate.register_fake
def _(spikes: Tensor, a: Tensor, b: Any) -> Tensor:
    return empty_as(_regular(spikes))


@_gate_backward.register_fake
def _(grad: Tensor, spikes: Tensor, a: Tensor, b: Any) -> tuple[Tensor, Tensor, Tensor]:
    spikes = _regular(spikes)
    like = torch.empty_like(a.contiguous()) if a.shape != spikes.shape else empty_as(spikes).to(a.dtype)
    return empty_as(spikes), like, a.new_empty(0) if b is None else empty_as(spikes).to(b.dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    spikes, a, b = ctx.saved_tensors
    grad_spikes, grad_a, grad_b = _gate_backward(grad, spikes, a, b)
    return grad_spikes, grad_a, None if b is None else grad_b


gate.register_autograd(_differentiate, setup_context=_setup_context)
