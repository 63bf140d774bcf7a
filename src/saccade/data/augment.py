"""Augmentation of whole batches at once: every sample has its own draw, no loop over samples.

Everything is drawn from torch's global CPU generator. `make_loader` seeds it for each batch from (seed, epoch, batch).
"""

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
            turned = (torch.rand(batch) < 0.5).view(-1, 1, 1, 1)
            planes_BPHW = torch.where(turned, planes_BPHW.flip(-1), planes_BPHW)
        return planes_BPHW.reshape(x.shape)


def _shift(x_BPHW: Tensor, corner: Tensor, margin: int) -> Tensor:
    """Crop every picture, padded by `margin`, at its own `corner` [2, B] = (top, left), from 0 to 2 * margin."""
    height, width = x_BPHW.shape[-2:]
    windows = F.pad(x_BPHW, (margin,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # [B, P, top, left, H, W], a view
    return windows[torch.arange(len(x_BPHW)), :, corner[0], corner[1]]
