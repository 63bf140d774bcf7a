"""Augmentation of clips: one draw for all T frames of a clip, another for the next clip; on the device of the batch.

    augment = POLICIES["pictures"]
    x_TBCHW = augment(x_TBCHW)                          # draws from torch's global CPU generator
    x_TBCHW = augment(x_TBCHW, generator)               # or from a CPU generator of yours

`make_loader` seeds the global generator for every batch from (seed, epoch, batch), so a batch is the same in every
process and on every device. Pixels are moved, never blended (nearest neighbour): counts stay whole numbers, and what
moves out of the picture is lost. Geometry is torchvision's (transforms v2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from saccade.errors import require

#: a clip [T, C, H, W] and a source of draws -> the clip, changed
Operation = Callable[[Tensor, "Generator | None"], Tensor]


def _uniform(low: float, high: float, generator: Generator | None) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _whole(low: int, high: int, generator: Generator | None) -> int:
    """Uniform over low, ..., high."""
    return int(torch.randint(low, high + 1, (), generator=generator))


@dataclass(frozen=True)
class Keep:
    """The clip as it is."""

    def __call__(self, clip: Tensor, generator: Generator | None) -> Tensor:
        return clip


@dataclass(frozen=True)
class Roll:
    """Move round the edges by whole pixels, up to `share` of each side."""

    share: float

    def __call__(self, clip: Tensor, generator: Generator | None) -> Tensor:
        shifts = [_whole(-(reach := round(self.share * side)), reach, generator) for side in clip.shape[-2:]]
        return clip.roll(shifts, (-2, -1))


@dataclass(frozen=True)
class Translate:
    """Move by whole pixels, up to `share` of each side; zeros come in."""

    share: float

    def __call__(self, clip: Tensor, generator: Generator | None) -> Tensor:
        down, right = (_whole(-(reach := round(self.share * side)), reach, generator) for side in clip.shape[-2:])
        return _affine(clip, translate=[right, down])


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre, by up to `degrees` either way."""

    degrees: float

    def __call__(self, clip: Tensor, generator: Generator | None) -> Tensor:
        return _affine(clip, angle=_uniform(-self.degrees, self.degrees, generator))


@dataclass(frozen=True)
class Shear:
    """Push rows sideways, by up to `degrees` either way."""

    degrees: float

    def __call__(self, clip: Tensor, generator: Generator | None) -> Tensor:
        return _affine(clip, shear=[_uniform(-self.degrees, self.degrees, generator), 0.0])


@dataclass(frozen=True)
class Cutout:
    """Zero a rectangle of `low` to `high` of the area, its sides in a ratio of 0.3 to 3.3."""

    low: float
    high: float

    def __call__(self, clip: Tensor, generator: Generator | None) -> Tensor:
        height, width = clip.shape[-2:]
        area = _uniform(self.low, self.high, generator) * height * width
        ratio = _uniform(0.3, 3.3, generator)
        rows = min(height, max(1, round((area * ratio) ** 0.5)))
        columns = min(width, max(1, round((area / ratio) ** 0.5)))
        top, left = _whole(0, height - rows, generator), _whole(0, width - columns, generator)
        erase = require("torchvision.transforms.v2.functional", "train").erase
        return erase(clip, top, left, rows, columns, clip.new_zeros(()))


def _affine(
    clip: Tensor, angle: float = 0.0, translate: list[int] | None = None, shear: list[float] | None = None
) -> Tensor:
    functional = require("torchvision.transforms.v2.functional", "train")
    nearest = require("torchvision.transforms", "train").InterpolationMode.NEAREST
    return functional.affine(
        clip, angle=angle, translate=translate or [0, 0], scale=1.0, shear=shear or [0.0, 0.0], interpolation=nearest
    )


@dataclass(frozen=True)
class ClipAugment:
    """Mirror a clip with probability `mirror`, do all of `always`, then one of `one_of`, picked evenly."""

    mirror: float = 0.0
    always: tuple[Operation, ...] = ()
    one_of: tuple[Operation, ...] = ()

    def __call__(self, x_TBCHW: Tensor, generator: Generator | None = None) -> Tensor:
        """A batch -> a new batch; the draws come from a CPU generator (None: torch's global one)."""
        if x_TBCHW.ndim != 5:
            raise ValueError(f"Clips are augmented in batches [T, B, C, H, W], not {list(x_TBCHW.shape)}.")
        return torch.stack([self._clip(clip, generator) for clip in x_TBCHW.unbind(1)], 1)

    def _clip(self, clip: Tensor, generator: Generator | None) -> Tensor:
        if self.mirror and _uniform(0, 1, generator) < self.mirror:
            clip = clip.flip(-1)
        for operation in self.always:
            clip = operation(clip, generator)
        if self.one_of:
            clip = self.one_of[_whole(0, len(self.one_of) - 1, generator)](clip, generator)
        return clip


# 5 pixels of 48, where the papers say 5; 0.3 rad.
FIVE_OF_48 = 5 / 48
SHEAR_DEGREES = 17.2

POLICIES = {
    # DTA on CIFAR10-DVS (Kim, Kim, Yang, WACV 2025, arXiv 2503.10052).
    "pictures": ClipAugment(
        0.5,
        one_of=(Keep(), Shear(SHEAR_DEGREES), Translate(FIVE_OF_48), Rotate(30.0), Cutout(0.001, 0.11)),
    ),
    # TCJA on CIFAR10-DVS (Zhu et al., TNNLS 2024, arXiv 2206.10177), as released.
    "roll": ClipAugment(0.5, always=(Roll(FIVE_OF_48),)),
    # Ours: a mirrored digit is no digit.
    "digits": ClipAugment(always=(Translate(2 / 34),)),
    # Ours: mirrored, a wave of the left hand would be one of the right.
    "gestures": ClipAugment(
        one_of=(Keep(), Shear(SHEAR_DEGREES), Translate(FIVE_OF_48), Rotate(15.0), Cutout(0.001, 0.11)),
    ),
}
