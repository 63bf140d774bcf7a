"""Sums and products of whole sequences as autograd nodes of one pass per direction on the CPU.

    norm(y) + other        what a residual adds up
    x * gate               a gate of one number per step, sample and channel

Autograd alone would write the norm's output, the product's two gradients and the sum over space as tensors of their
own. Everything is channels last, with time folded into the batch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from saccade.ops.composite.passes import (
    Affine,
    block,
    channels_last,
    empty,
    flat,
    normalise_back,
    rows,
    run,
    sums_per_channel,
    tile,
)
from saccade.ops.plumbing.bfloat import computed_in


class NormAdd(torch.autograd.Function):
    """(y, norm's weight, bias, mean, 1 / std, other, batch) -> norm(y) + other; both are [N, C, H, W], channels last.

    Statistics are constants for autograd: with `batch` they are y's own, and backward accounts for them.
    """

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, inverse_std: Tensor, other: Tensor, batch: bool
    ) -> Tensor:
        from saccade.ops.composite import kernel

        ctx.save_for_backward(y, weight, bias, mean, inverse_std)
        ctx.batch = batch
        affine, out = Affine.of(mean, inverse_std, weight, bias), empty(y.shape, y.dtype)
        tiles = tile(affine.slope), tile(affine.offset)
        units = math.ceil(y.numel() / len(tiles[0]))
        run(kernel.add, y.numel(), units, flat(y), *tiles, flat(other), flat(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from saccade.ops.composite import kernel

        y, weight, bias, mean, inverse_std = ctx.saved_tensors
        grad = channels_last(grad)
        affine = Affine.of(mean, inverse_std, weight, bias)
        sums, products = sums_per_channel(kernel.products, y, affine.mean, flat(grad))
        of_y = None
        if ctx.needs_input_grad[0]:
            of_y = empty(y.shape, y.dtype)
            normalise_back(y, grad, affine, sums, products, ctx.batch, of_y)
        of_weight = torch.from_numpy(products * inverse_std.double().numpy()).to(weight.dtype)
        return of_y, of_weight, torch.from_numpy(sums).to(weight.dtype), None, None, grad, None


class Scale(torch.autograd.Function):
    """(x, gate) -> x * gate for x [N, C, H, W], channels last, and gate [N, C]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor) -> Tensor:
        from saccade.ops.composite import kernel

        ctx.save_for_backward(x, gate)
        out = empty(x.shape, x.dtype)
        run(kernel.scale, x.numel(), len(x), rows(x), _numbers(gate, x), rows(out), block(x.shape[1]))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        from saccade.ops.composite import kernel

        x, gate = ctx.saved_tensors
        of_x, of_gate = empty(x.shape, x.dtype), np.empty(gate.shape, _numbers(gate, x).dtype)
        arrays = rows(channels_last(grad)), rows(x), _numbers(gate, x), rows(of_x), of_gate
        run(kernel.scale_back, x.numel(), len(x), *arrays, block(x.shape[1]))
        return of_x, torch.from_numpy(of_gate).to(gate.dtype)


def _numbers(gate: Tensor, x: Tensor) -> Any:
    """A gate in the type that x's loops compute in."""
    return gate.detach().to(computed_in(x.dtype)).contiguous().numpy()
