"""Image grids as PNG files: samples, reconstructions, interpolations at a glance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.errors import require

GAP = 2  # pixels of white between pictures, before they are enlarged


def image_grid(images: NDArray[np.uint8], columns: int, scale: int = 2) -> NDArray[np.uint8]:
    """Pictures side by side, row by row, on white.

    Args:
        images: [N, H, W] grey or [N, H, W, 3] colour, 0 to 255.
        columns: pictures per row; the last row may be shorter.
        scale: each pixel becomes scale x scale pixels, so that small images can be looked at.

    Returns:
        [H', W'] or [H', W', 3].

    Raises:
        ValueError: no images, another layout, or sizes below 1.
    """
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images) or images.shape[3:] not in ((), (3,)):
        raise ValueError(
            f"A grid takes uint8 images [N, H, W] or [N, H, W, 3], but got {images.dtype} {list(images.shape)}."
        )
    if columns < 1 or scale < 1:
        raise ValueError(f"A grid needs columns and scale of 1 or more, not {columns} and {scale}.")
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, *images.shape[3:]), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = image
    return canvas.repeat(scale, 0).repeat(scale, 1)


def save_grid(path: Path, images: NDArray[np.uint8], columns: int, scale: int = 2) -> None:
    """Write `image_grid` as a PNG file, whole or not at all."""
    picture = require("PIL.Image", "train").fromarray(image_grid(images, columns, scale))
    temporary = path.with_name(f".{path.name}.part")
    picture.save(temporary, format="PNG")
    temporary.replace(path)
