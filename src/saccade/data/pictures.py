"""Pictures too large to hold in memory: read, decoded, cropped and turned as they are asked for, as ImageNet's are.

What a worker makes of a picture is bytes; a batch of them becomes numbers at once. Training crops are cut by the
resizing itself, and a JPEG whose crop is at least twice as large as needed is decoded at 1/2, 1/4 or 1/8 of its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from saccade.data.augment import Augment
from saccade.errors import require
from saccade.files import FileError, printable

# Share of the short side that the centre crop keeps: 224 of 256, as for ImageNet.
CROP_SHARE = 0.875
#: of the training crop: share of the area, and width by height; those of torchvision
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


# What is taken for an image by its content; Pillow would also run the programs in PostScript files.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")
# Above, a small file may take all memory once it is decoded.
MOST_PIXELS = 2**26


@contextmanager
def opened(file: str | BinaryIO, name: str) -> Iterator[Any]:
    """A PIL image, not yet decoded; what goes wrong, also while it is decoded, becomes an error that names it."""
    image_module = require("PIL.Image", "train")
    try:
        with image_module.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise FileError(Path(name), f"it has {width} x {height} pixels, and {MOST_PIXELS:,} are the most.")
            yield image
    except FileError:
        raise
    except Exception as error:  # what Pillow raises for broken files is of many types
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"Cannot read the image {printable(name)} ({said}). Replace or delete it.") from error


class Source(Protocol):
    """Where pictures come from."""

    @property
    def labels(self) -> Sequence[int]:
        """Class index of every picture."""

    def open(self, index: int) -> AbstractContextManager[Any]:
        """A PIL image, not yet decoded; see `opened`."""


@dataclass(frozen=True)
class Pictures(Dataset):
    """`(float32 [3, size, size], int)`, normalised by mean and deviation per channel, in the units 0 to 255.

    Args:
        source: all pictures.
        rows: those of this part.
        size: side of the result.
        mean, std: per channel.
        crop: whether to take a random crop and to mirror half of the pictures; else the centre. Drawn from torch's
            global generator.
        policy: further augmentation of the uint8 picture [B, 3, H, W].
    """

    source: Source
    rows: list[int]
    size: int
    mean: Sequence[float]
    std: Sequence[float]
    crop: bool = False
    policy: Augment | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def raw(self, index: int) -> tuple[Tensor, int]:
        """uint8 [H, W, 3] and the label: what `finish` takes a batch of. Errors name the picture."""
        row = self.rows[index]
        with self.source.open(row) as image:
            pixels = self._random(image) if self.crop else self._centre(image)
        if self.policy is not None:
            pixels = self.policy(pixels.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        return pixels, int(self.source.labels[row])

    def finish(self, x_BHWC: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> float32 [B, 3, H, W], channels last in memory, as convolutions on a GPU want it."""
        std = torch.tensor(self.std, dtype=torch.float32)
        x = x_BHWC.float().mul_(1 / std).sub_(torch.tensor(self.mean, dtype=torch.float32) / std)
        return x.permute(0, 3, 1, 2)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels, label = self.raw(index)
        return self.finish(pixels[None])[0], label

    def _random(self, image: Any) -> Tensor:
        left, top, width, height = random_box(*image.size)
        mirrored = bool(torch.rand(()) < 0.5)
        before = image.size
        shrink = max(1, min(width, height) // self.size)
        # A JPEG decoder shrinks for nothing; sides are rounded up, so how much says the picture's part of them.
        drafted = image.draft("RGB", (before[0] // shrink, before[1] // shrink))
        scale = drafted[1][2] / before[0] if drafted else 1.0
        box = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
        bilinear = require("PIL.Image", "train").Resampling.BILINEAR
        pixels = np.asarray(image.convert("RGB").resize((self.size, self.size), bilinear, box))
        return torch.from_numpy(pixels[:, ::-1].copy() if mirrored else pixels.copy())

    def _centre(self, image: Any) -> Tensor:
        v2 = require("torchvision.transforms.v2", "train")
        whole = image.convert("RGB")
        cut = v2.functional.center_crop(v2.functional.resize(whole, [round(self.size / CROP_SHARE)]), [self.size])
        return torch.from_numpy(np.array(cut))


def random_box(width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of a training crop, drawn as torchvision's RandomResizedCrop draws it.

    Szegedy et al. Going Deeper with Convolutions. CVPR 2015, arXiv 1409.4842.
    """
    low, high = np.log(RATIO)
    for _ in range(10):
        area = width * height * float(torch.empty(()).uniform_(*AREA))
        ratio = float(torch.empty(()).uniform_(float(low), float(high)).exp())
        w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(height - h + 1, ()))
            return int(torch.randint(width - w + 1, ())), top, w, h
    w, h = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    return (width - w) // 2, (height - h) // 2, w, h
