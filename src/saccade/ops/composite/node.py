"""Batch norm, LIF, pooling and convolution as one autograd node on the CPU.

    z = conv(pool(LIF(norm(y))))        norm, pool and conv each optional

Autograd would keep the input of each of the four. This node keeps y alone: backward computes the norm's affine map, the
potentials and the spikes again, which costs one more pass over y. Everything is channels last, with time folded into
the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from saccade.ops.composite.passes import (
    Affine,
    Array,
    block,
    channels_last,
    empty,
    flat,
    frames,
    normalise_back,
    rows,
    run,
    tile,
)
from saccade.ops.lif import cpu
from saccade.ops.lif.spec import LIFSpec
from saccade.ops.plumbing.bfloat import computed_in
from saccade.ops.plumbing.threads import parts_of
from saccade.ops.surrogate import IN_KERNELS
from saccade.ops.winograd import SAME, Geometry, convolve, convolve_back


@dataclass(frozen=True)
class Plan:
    """What a node does besides the numbers it is given: the neuron, the pooling and the convolution's geometry.

    `pool` is "none", "max" or "average" (2 x 2). `mean`: hand out the spikes' mean over H, W too, which a gate needs.
    `batch`: the norm's statistics are those of this batch, and take part in its gradient.
    """

    steps: int
    decay: float
    gain: float
    spec: LIFSpec
    pool: str = "none"
    mean: bool = False
    batch: bool = False
    geometry: Geometry = SAME


def fire(y: Tensor, affine: Affine, plan: Plan, dtype: torch.dtype) -> Tensor:
    """The spikes of norm and neuron, [N, C, H, W] of y's shape, as `dtype`."""
    from saccade.ops.composite import kernel

    out, slope, offset = empty(y.shape, dtype), tile(affine.slope, plan.steps), tile(affine.offset, plan.steps)
    constants = cpu.constants(plan.decay, plan.gain, plan.spec, y.dtype)
    units = math.ceil(y.numel() / plan.steps / len(slope))
    hard = plan.spec.reset == "hard"
    run(kernel.spikes, y.numel(), units, flat(y), slope, offset, flat(out), plan.steps, constants, hard)
    return out


def pooled(y: Tensor, affine: Affine, plan: Plan) -> tuple[Tensor, Tensor, Tensor | None]:
    """What the convolution meets; the spikes' mean over H, W [N or 0, C]; the spikes themselves as bytes, if pooled."""
    from saccade.ops.composite import kernel

    N, C, H, W = y.shape
    mean = torch.empty(N if plan.mean else 0, C, dtype=computed_in(y.dtype))
    if plan.pool == "none":
        out = fire(y, affine, plan, y.dtype)
        if plan.mean:
            run(kernel.average, y.numel(), N, rows(out), mean.numpy(), block(C))
        return out, mean, None
    spikes = fire(y, affine, plan, torch.uint8)
    out = empty((N, C, H // 2, W // 2), y.dtype)
    run(kernel.pool, y.numel(), N, frames(spikes), frames(out), mean.numpy(), plan.pool == "max")
    return out, mean, spikes


def back(y: Tensor, grad: Tensor, affine: Affine, plan: Plan) -> tuple[Array, Array]:
    """Turn `grad`, of the spikes, into the current's, in place: its sums per channel, and those of its product with
    y - mean."""
    from saccade.ops.composite import kernel

    spec = plan.spec
    tiles = [tile(values, plan.steps) for values in (affine.slope, affine.offset, affine.mean)]
    units = math.ceil(y.numel() / plan.steps / len(tiles[0]))
    totals = np.zeros((parts_of(y.numel(), units), 2, len(tiles[0])))
    constants = cpu.constants(plan.decay, plan.gain, spec, y.dtype)
    flags = spec.reset == "hard", not spec.detach_reset, IN_KERNELS.index(spec.surrogate.kind)
    run(kernel.gradient, y.numel(), units, flat(y), *tiles, flat(grad), totals, plan.steps, constants, *flags)
    sums, products = totals.sum(0).reshape(2, -1, y.shape[1]).sum(1)
    return sums, products


class Composite(torch.autograd.Function):
    """(y, norm's weight, bias, mean, 1 / std, conv's weight, bias, plan) -> conv's output, and the spikes' mean.

    y is [T*B, C, H, W], channels last and dense. Without a norm its four are None; without a convolution the pooled
    spikes come out. Statistics are constants for autograd: with `plan.batch` backward accounts for them.

    If y is bfloat16, so is what is kept and handed on, and the convolution takes a rounded copy of its weight. Weights,
    statistics and potentials are float32.
    """

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None,
        inverse_std: Tensor | None, conv_weight: Tensor | None, conv_bias: Tensor | None, plan: Plan,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        ctx.save_for_backward(y, weight, bias, mean, inverse_std, conv_weight)
        ctx.plan, ctx.conv_bias = plan, None if conv_bias is None else list(conv_bias.shape)
        out, means, _ = pooled(y, _affine(y, weight, bias, mean, inverse_std), plan)
        if not plan.mean:
            ctx.mark_non_differentiable(means)
        if conv_weight is not None:
            out = convolve(out, conv_weight, conv_bias, *plan.geometry)
        return out, means

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor) -> tuple[Tensor | None, ...]:
        from saccade.ops.composite import kernel

        y, weight, bias, mean, inverse_std, conv_weight = ctx.saved_tensors
        plan: Plan = ctx.plan
        affine = _affine(y, weight, bias, mean, inverse_std)
        before_neuron = any(ctx.needs_input_grad[:3])
        met, _, spikes = pooled(y, affine, plan) if conv_weight is not None or plan.pool != "none" else (None,) * 3
        grad_weight = grad_bias = None
        if conv_weight is not None:
            assert met is not None
            wanted = [before_neuron, *ctx.needs_input_grad[5:7]]
            of_met, grad_weight, grad_bias = convolve_back(grad, met, conv_weight, ctx.conv_bias, plan.geometry, wanted)
            grad = of_met if of_met is not None else grad
        if not before_neuron:
            return None, None, None, None, None, grad_weight, grad_bias, None
        owned = conv_weight is not None
        del met
        if spikes is not None:
            full = empty(y.shape, y.dtype)
            share = grad_mean if plan.mean else torch.empty(0, y.shape[1], dtype=computed_in(y.dtype))
            run(
                kernel.unpool,
                y.numel(),
                len(y),
                frames(grad),
                frames(spikes),
                share.contiguous().numpy(),
                frames(full),
                plan.pool == "max",
            )
            grad = full
        else:
            dense = channels_last(grad)
            grad = dense if owned or dense is not grad else empty(y.shape, y.dtype).copy_(dense)
            if plan.mean:
                run(kernel.add_share, y.numel(), len(y), rows(grad), grad_mean.contiguous().numpy(), block(y.shape[1]))
        sums, products = back(y, grad, affine, plan)
        if weight is None:
            return grad, None, None, None, None, grad_weight, grad_bias, None
        if ctx.needs_input_grad[0]:
            normalise_back(y, grad, affine, sums, products, plan.batch, grad)
        of_weight = torch.from_numpy(products * inverse_std.double().numpy()).to(weight.dtype)
        return grad, of_weight, torch.from_numpy(sums).to(weight.dtype), None, None, grad_weight, grad_bias, None


def _affine(y: Tensor, *norm: Any) -> Affine:
    if norm[0] is not None:
        return Affine.of(norm[2], norm[3], norm[0], norm[1])
    zero = torch.zeros(y.shape[1], dtype=computed_in(y.dtype))
    one = torch.ones_like(zero)
    return Affine(zero, one, one, zero)
