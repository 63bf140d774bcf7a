"""Operations on single samples, images or clips, and how policies are composed of them.

Pixels are moved, never blended (nearest neighbour): counts stay whole numbers, and what moves out of the picture is
lost. Geometry is torchvision's (transforms v2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from saccade.errors import require

#: a sample [..., H, W] and a source of draws -> the sample, changed
Operation = Callable[[Tensor, "Generator | None"], Tensor]


def _uniform(low: float, high: float, generator: Generator | None) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _whole(low: int, high: int, generator: Generator | None) -> int:
    """Uniform over low, ..., high."""
    return int(torch.randint(low, high + 1, (), generator=generator))


@dataclass(frozen=True)
class Keep:
    """The sample as it is."""

    def __call__(self, sample: Tensor, generator: Generator | None) -> Tensor:
        return sample


@dataclass(frozen=True)
class Roll:
    """Move round the edges by whole pixels, up to `share` of each side."""

    share: float

    def __call__(self, sample: Tensor, generator: Generator | None) -> Tensor:
        shifts = [_whole(-(reach := round(self.share * side)), reach, generator) for side in sample.shape[-2:]]
        return sample.roll(shifts, (-2, -1))


@dataclass(frozen=True)
class Translate:
    """Move by whole pixels, up to `share` of a side, in both directions or in one; zeros come in."""

    share: float
    direction: Literal["both", "across", "down"] = "both"

    def __call__(self, sample: Tensor, generator: Generator | None) -> Tensor:
        down, right = (_whole(-(reach := round(self.share * side)), reach, generator) for side in sample.shape[-2:])
        if self.direction != "both":
            down, right = (down, 0) if self.direction == "down" else (0, right)
        return _affine(sample, translate=[right, down])


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre, by up to `degrees` either way."""

    degrees: float

    def __call__(self, sample: Tensor, generator: Generator | None) -> Tensor:
        return _affine(sample, angle=_uniform(-self.degrees, self.degrees, generator))


@dataclass(frozen=True)
class Shear:
    """Push rows sideways, by up to `degrees` either way."""

    degrees: float

    def __call__(self, sample: Tensor, generator: Generator | None) -> Tensor:
        return _affine(sample, shear=[_uniform(-self.degrees, self.degrees, generator), 0.0])


@dataclass(frozen=True)
class Cutout:
    """Zero a rectangle of `low` to `high` of the area, the ratio of its sides uniform over `ratios`."""

    low: float
    high: float
    ratios: tuple[float, float] = (0.3, 3.3)

    def __call__(self, sample: Tensor, generator: Generator | None) -> Tensor:
        height, width = sample.shape[-2:]
        area = _uniform(self.low, self.high, generator) * height * width
        ratio = _uniform(*self.ratios, generator)
        rows = min(height, max(1, round((area * ratio) ** 0.5)))
        columns = min(width, max(1, round((area / ratio) ** 0.5)))
        top, left = _whole(0, height - rows, generator), _whole(0, width - columns, generator)
        erase = require("torchvision.transforms.v2.functional", "train").erase
        return erase(sample, top, left, rows, columns, sample.new_zeros(()))


def _affine(
    sample: Tensor, angle: float = 0.0, translate: list[int] | None = None, shear: list[float] | None = None
) -> Tensor:
    functional = require("torchvision.transforms.v2.functional", "train")
    nearest = require("torchvision.transforms", "train").InterpolationMode.NEAREST
    return functional.affine(
        sample, angle=angle, translate=translate or [0, 0], scale=1.0, shear=shear or [0.0, 0.0], interpolation=nearest
    )


@dataclass(frozen=True)
class PerSample:
    """Mirror a sample with probability `mirror`, do all of `always`, then one of `one_of`, picked evenly."""

    mirror: float = 0.0
    always: tuple[Operation, ...] = ()
    one_of: tuple[Operation, ...] = ()

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """A batch [B, ..., H, W] -> a new batch; draws come from a CPU generator (None: torch's global one)."""
        if x.ndim < 4:
            raise ValueError(f"Samples are augmented in batches, [B, ..., C, H, W], not {list(x.shape)}.")
        return torch.stack([self._sample(sample, generator) for sample in x])

    def _sample(self, sample: Tensor, generator: Generator | None) -> Tensor:
        if self.mirror and _uniform(0, 1, generator) < self.mirror:
            sample = sample.flip(-1)
        for operation in self.always:
            sample = operation(sample, generator)
        if self.one_of:
            sample = self.one_of[_whole(0, len(self.one_of) - 1, generator)](sample, generator)
        return sample
