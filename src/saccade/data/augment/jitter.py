"""Augmentation of whole batches at once: every sample has its own draw, no loop over samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Jitter:
    """Random shift and mirror image, the usual augmentation of small images.

    The shift is a crop of the picture after `shift` pixels of zeros were put on each side, so it is uniform over the
    whole numbers from -shift to shift in both directions. `mirror` turns left and right round in half of the samples.
    """

    shift: int
    mirror: bool

    def __call__(self, x: Tensor) -> Tensor:
        """[B, ..., H, W] -> the same shape; one draw per sample, shared by its steps and channels."""
        batch, height, width = len(x), x.shape[-2], x.shape[-1]
        planes_BPHW = x.reshape(batch, -1, height, width)
        if self.shift:
            planes_BPHW = _shift(planes_BPHW, torch.randint(2 * self.shift + 1, (2, batch)), self.shift)
        if self.mirror:
            turned = _on(x, torch.rand(batch) < 0.5).view(-1, 1, 1, 1)
            planes_BPHW = torch.where(turned, planes_BPHW.flip(-1), planes_BPHW)
        return planes_BPHW.reshape(x.shape)


def _shift(x_BPHW: Tensor, corner: Tensor, margin: int) -> Tensor:
    """Crop every picture, padded by `margin`, at its own `corner` [2, B] = (top, left), from 0 to 2 * margin."""
    height, width = x_BPHW.shape[-2:]
    windows = F.pad(x_BPHW, (margin,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # [B, P, top, left, H, W], a view
    corner = _on(x_BPHW, corner)
    return windows[torch.arange(len(x_BPHW), device=x_BPHW.device), :, corner[0], corner[1]]


def cutout(x: Tensor, side: int, batch_dim: int = 0) -> Tensor:
    """A square of zeros in every sample, `side` pixels wide, around a uniform point and clipped at the border.

    DeVries, Taylor. Improved Regularization of Convolutional Neural Networks with Cutout. 2017, arXiv 1708.04552.

    Args:
        x: [B, ..., H, W] or, with batch_dim=1, [T, B, ..., H, W]: the square is the same for all steps. Zero is the
            mean of normalised samples.
        side: of the square; 0 returns x itself.
        batch_dim: where B is in x.
    """
    if side == 0:
        return x
    height, width = x.shape[-2:]
    batch = x.shape[batch_dim]
    rows, columns = (_outside(x, size, batch, side) for size in (height, width))
    keep_BHW = rows[:, :, None] | columns[:, None, :]
    shape = [1] * x.ndim
    shape[batch_dim], shape[-2], shape[-1] = batch, height, width
    return x * keep_BHW.view(shape)


def _outside(x: Tensor, size: int, batch: int, side: int) -> Tensor:
    """Which of `size` lines lie outside of each sample's stretch of `side`, [B, size]."""
    first = _on(x, torch.randint(size, (batch, 1))) - side // 2
    line = torch.arange(size, device=x.device)
    return (line < first) | (line >= first + side)


def _on(x: Tensor, draws: Tensor) -> Tensor:
    """Draws on x's device, without waiting for what that is busy with."""
    return draws.to(x.device, non_blocking=True)
