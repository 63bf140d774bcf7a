"""Single passes over channels-last memory [N, C, H, W], with time folded into the batch, and what nodes share.

The loops are those of `kernel.py`; here tensors become the flat arrays, tiles and threads that they work with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.ops.lif import cpu
from saccade.ops.plumbing.bfloat import as_array, computed_in
from saccade.ops.plumbing.reuse import empty_strided
from saccade.ops.plumbing.threads import cut, parts_of, run_parts

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Affine:
    """A norm as the affine map slope * y + offset, where slope = weight / std; and what its gradient needs."""

    mean: Tensor
    inverse_std: Tensor
    slope: Tensor
    offset: Tensor

    @classmethod
    def of(cls, mean: Tensor, inverse_std: Tensor, weight: Tensor, bias: Tensor) -> Affine:
        slope = weight.detach() * inverse_std
        return cls(mean, inverse_std, slope, bias.detach() - mean * slope)


def run(loop: Callable[..., None], work: int, units: int, *arguments: Any) -> None:
    """Run a loop of `kernel.py` over all units."""
    parts = parts_of(work, units)
    run_parts(parts, lambda part: loop(*arguments, *cut(units, part, parts), part))


def flat(x: Tensor) -> Array:
    """The memory of a channels-last [N, C, H, W], as it lies there."""
    return frames(x).reshape(-1)


def frames(x: Tensor) -> Array:
    """A channels-last [N, C, H, W] as [N, H, W, C], contiguous."""
    return as_array(x.detach().permute(0, 2, 3, 1).contiguous())


def rows(x: Tensor) -> Array:
    """A channels-last [N, C, H, W] as [N, H * W * C]."""
    return frames(x).reshape(len(x), -1)


def empty(shape: Any, dtype: torch.dtype) -> Tensor:
    """Not initialised, [N, C, H, W] channels last."""
    N, C, H, W = shape
    return empty_strided((N, C, H, W), (H * W * C, 1, W * C, C), dtype)


def channels_last(y: Tensor) -> Tensor:
    """[N, C, H, W] in channels-last memory, also where its strides say nothing (one channel, one pixel)."""
    memory = y.permute(0, 2, 3, 1)
    return y if memory.is_contiguous() else memory.contiguous().permute(0, 3, 1, 2)


def block(channels: int, most: int = cpu.BLOCK) -> int:
    """The length of a block: so many numbers at most, of whole pixels; one pixel at least."""
    return channels * max(1, most // channels)


def tile(values: Tensor, steps: int = 1) -> Array:
    """A number per channel, repeated to the length of a block, which stays in the cache with all its steps."""
    C = len(values)
    most = min(cpu.BLOCK, cpu.BLOCK_BYTES // (max(steps, 1) * values.element_size()))
    return np.tile(values.detach().numpy(), block(C, most) // C)


def batch_moments(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance per channel of [N, C, H, W], float64."""
    from saccade.ops.composite import kernel

    first = y[0, :, 0, 0].detach().to(computed_in(y.dtype))
    shift, square = sums_per_channel(kernel.moments, y, first) / (y.numel() // y.shape[1])
    return torch.from_numpy(shift) + first, torch.from_numpy(np.maximum(square - shift**2, 0))


def sums_per_channel(loop: Callable[..., None], y: Tensor, center: Tensor, *before: Array) -> Array:
    """The two sums per channel [2, C] that a loop adds up over y, which it sees less `center`; float64."""
    from saccade.ops.composite import kernel

    centers = tile(center)
    units = math.ceil(y.numel() / (len(centers) * kernel.ROWS))
    totals = np.zeros((parts_of(y.numel(), units), 2, len(centers)))
    run(loop, y.numel(), units, *before, flat(y), centers, totals)
    return np.asarray(totals.sum(0).reshape(2, -1, y.shape[1]).sum(1))


def normalise_back(
    y: Tensor, grad: Tensor, affine: Affine, sums: Array, products: Array, batch: bool, out: Tensor
) -> None:
    """Write the gradient of a norm's input y into `out`, which may be `grad`, that of its output.

    `sums`, `products`: of grad, and of grad times y - mean, per channel. `batch`: the statistics are those of y.
    """
    from saccade.ops.composite import kernel

    slope, inverse_std, mean = (v.double().numpy() for v in (affine.slope, affine.inverse_std, affine.mean))
    count = y.numel() // y.shape[1] if batch else math.inf
    of_x = -slope * inverse_std**2 * products / count
    constant = -slope * sums / count - of_x * mean
    tiles = [tile(torch.from_numpy(v).to(computed_in(y.dtype))) for v in (slope, of_x, constant)]
    run(kernel.combine, y.numel(), math.ceil(y.numel() / len(tiles[0])), flat(out), flat(grad), flat(y), *tiles)
