"""Pooling of spikes held as bytes."""

from __future__ import annotations

from torch import Tensor, nn

from saccade.nn.folding import fold_time, unfold_time


def pool_bytes(spikes: Tensor, pool: nn.Module) -> Tensor:
    """2x2 pooling of 0/1 bytes [T, B, C, H, W]: the maximum, or the number of spikes (four times the average)."""
    H, W = (size // 2 * 2 for size in spikes.shape[-2:])
    windows = [spikes[..., i:H:2, j:W:2] for i in (0, 1) for j in (0, 1)]
    total = windows[0].clone()
    for window in windows[1:]:
        if isinstance(pool, nn.MaxPool2d):
            total |= window
        else:
            total += window
    return total


def pool_frames(x: Tensor, pool: nn.Module) -> Tensor:
    """Any pooling at every step: [T, B, C, H, W] -> [T, B, C, H', W']."""
    return unfold_time(pool(fold_time(x)), len(x))
