"""Batch norm's affine map and the LIF recurrence in one Triton kernel per direction.

What autograd saves is x, the output of the convolution, which that norm needs in any case: neither the normalised
current nor the spikes are kept, backward computes both again. `torch.ops.saccade.norm_lif` and `.norm_lif_backward` are
torch operators, as those of `ops/lif/triton.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saccade.ops.lif.spec import LIFSpec
from saccade.ops.lif.triton import KINDS, SPEC, WARPS, backward_block, device_of, flat_spec
from saccade.ops.plumbing.layout import empty_as, is_packed, laid_out_as

_ARGUMENTS = (
    f"Tensor x, Tensor weight, Tensor bias, Tensor mean, Tensor rstd, bool batch_statistics, float decay, float gain, "
    f"{SPEC}"
)


def norm_lif(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, batch_statistics: bool, decay: float,
    gain: float, spec: LIFSpec,
) -> Tensor:  # fmt: skip
    """Spikes [T, B, C, H, W]. With `batch_statistics`, mean and rstd are x's own, and x's gradient goes through them.

    They must then be detached: backward has their part in closed form.
    """
    return _norm_lif(x, weight, bias, mean, rstd, batch_statistics, decay, gain, *flat_spec(spec))


def _regular(x: Tensor) -> Tensor:
    """x itself if it is packed, step after step, with its channels first or last; else a contiguous copy."""
    last = x.movedim(2, 4)
    return x if x.is_contiguous() or last.is_contiguous() else x.contiguous()


def _tiling(x: Tensor, block: int) -> tuple[tuple[int, int], tuple[int, int, int], dict[str, Any]]:
    """The grid, (positions of a step, channels, pixels), and the constants of a launch."""
    _, B, C, H, W = x.shape
    last = not x.is_contiguous() or C == 1
    cols = min(1 << (C - 1).bit_length(), 64, block) if last else 1
    rows = block // cols
    return (-(-B * H * W // rows), -(-C // cols)), (B * H * W, C, H * W), {"LAST": last, "ROWS": rows, "COLS": cols}


@torch.library.custom_op("saccade::norm_lif", mutates_args=(), schema=f"({_ARGUMENTS}) -> Tensor")
def _norm_lif(
    x: Tensor, weight: Any, bias: Any, mean: Any, rstd: Any, batch_statistics: Any, decay: Any, gain: Any,
    threshold: Any, level: Any, hard: Any, *_: Any,
) -> Tensor:  # fmt: skip
    from saccade.ops.norm_lif import triton_kernel

    x = _regular(x)
    spikes = empty_as(x)
    slope, offset = _affine(weight, bias, mean, rstd)
    grid, sizes, tiles = _tiling(x, WARPS * 32 * max(1, 16 // x.element_size()))
    if x.numel():
        with device_of(x):
            triton_kernel.forward[grid](
                x, spikes, slope, offset, decay, gain, threshold, level, *sizes, STEPS=len(x), HARD=hard, **tiles,
                num_warps=WARPS, enable_fp_fusion=False,
            )  # fmt: skip
    return spikes


def _affine(weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
    slope = weight.float() * rstd
    return slope, bias.float() - mean * slope


@torch.library.custom_op(
    "saccade::norm_lif_backward", mutates_args=(), schema=f"(Tensor grad, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor)"
)
def _norm_lif_backward(
    grad: Tensor, x: Tensor, weight: Any, bias: Any, mean: Any, rstd: Any, batch_statistics: Any, decay: Any,
    gain: Any, threshold: Any, level: Any, hard: Any, detach: Any, kind: Any, scale: Any, center: Any,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    from saccade.ops.norm_lif import triton_kernel

    x = _regular(x)
    grad = laid_out_as(grad, x)
    grad = grad if is_packed(grad) and grad.stride() == x.stride() else empty_as(x).copy_(grad)
    grad_x = empty_as(x)
    slope, offset = _affine(weight, bias, mean, rstd)
    grid, sizes, tiles = _tiling(x, backward_block(len(x), x.element_size()))
    if not x.numel():
        return grad_x, torch.zeros_like(mean), torch.zeros_like(mean)
    sums = torch.empty((grid[0], 2, sizes[1]), dtype=torch.float32, device=x.device)
    with device_of(x):
        triton_kernel.backward[grid](
            x, grad, grad_x, sums, slope, offset, mean, decay, gain, threshold, level, center, scale, *sizes,
            STEPS=len(x), HARD=hard, ATTACHED=not detach, KIND=KINDS[kind], **tiles,
            num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip
    grad_bias, moment = sums.sum(0).unbind()
    grad_weight = moment * rstd
    of_x, constant = torch.zeros_like(mean), torch.zeros_like(mean)
    if batch_statistics:
        # dL/dx = slope * (g - mean(g) - xhat * mean(g * xhat)), xhat = (x - mean) * rstd
        count = x.numel() // sizes[1]
        of_x = -slope * rstd * grad_weight / count
        constant = -slope * grad_bias / count - of_x * mean
    all_steps = -(-len(x) * sizes[0] // tiles["ROWS"]), grid[1]
    with device_of(x):
        triton_kernel.combine[all_steps](
            grad_x, x, slope, of_x, constant, len(x) * sizes[0], *sizes[1:], **tiles,
            num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip
    return grad_x, grad_weight, grad_bias


@_norm_lif.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return empty_as(_regular(x))


@_norm_lif_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return empty_as(_regular(x)), torch.empty_like(mean), torch.empty_like(mean)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:5])
    ctx.constants = inputs[5:]


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias, *moments = ctx.saved_tensors
    grad_x, grad_weight, grad_bias = _norm_lif_backward(grad, x, weight, bias, *moments, *ctx.constants)
    return grad_x, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype), *[None] * (2 + len(ctx.constants))


_norm_lif.register_autograd(_differentiate, setup_context=_setup_context)
