"""How a sequence lies in memory: kernels take any layout in which every step fills one stretch of it."""

from __future__ import annotations

import torch
from torch import Tensor


def step_strides(x: Tensor) -> list[int]:
    """How one step is laid out. Dimensions of size 1 have no say in it."""
    return [stride for stride, size in zip(x.stride()[1:], x.shape[1:], strict=True) if size != 1]


def is_packed(x: Tensor) -> bool:
    """Whether every step fills one stretch of memory, in whatever order of its dimensions (channels last, say)."""
    filled = 1
    for stride, size in sorted(zip(x.stride()[1:], x.shape[1:], strict=True)):
        if size != 1 and stride != filled:
            return False
        filled *= size
    return True


def packed(x: Tensor) -> Tensor:
    """x itself if its steps are packed, else a contiguous copy."""
    return x if is_packed(x) else x.contiguous()


def strides_as(x: Tensor) -> tuple[int, ...]:
    """Strides of steps one after the other, each laid out as those of x, which must be packed."""
    return (x.shape[1:].numel(), *x.stride()[1:])


def empty_as(x: Tensor) -> Tensor:
    """Not initialised; the steps one after the other, each laid out as those of x, which must be packed."""
    return torch.empty_strided(x.shape, strides_as(x), dtype=x.dtype, device=x.device)


def laid_out_as(x: Tensor, y: Tensor) -> Tensor:
    """x itself if its steps are laid out as those of y, else a copy that is."""
    return x if step_strides(x) == step_strides(y) else empty_as(y).copy_(x)
