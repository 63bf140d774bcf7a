"""Grad-CAM over input pictures: classes in columns and networks in rows, or steps in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.report.figures.style import INK, bare, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = 0.82
STRENGTH = 0.62


def cam_rows(pictures: np.ndarray, maps: Mapping[str, np.ndarray], titles: Sequence[str]) -> Figure:
    """The rows of the DTA paper: the inputs, then each network's maps of them.

    Args:
        pictures: [N, H, W, 3] as uint8.
        maps: label -> [N, h, w], 0 to 1.
        titles: of the N columns.
    """
    figure, axes = _cells(1 + len(maps), len(pictures))
    for column, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        _picture(axes[0, column], picture)
        axes[0, column].set_title(title, fontsize=9, color=INK, loc="center")
        for row, values in enumerate(maps.values(), start=1):
            _picture(axes[row, column], picture)
            _heat(axes[row, column], values[column], picture.shape)
    for row, name in enumerate(["input", *maps]):
        _row_name(axes[row, 0], name)
    return figure


def cam_steps(frames: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """One sample over time: the frames, then each network's maps of all steps, and last their mean.

    Args:
        frames: [T, H, W, 3] as uint8.
        maps: label -> [T, h, w], 0 to 1 over all steps.
    """
    T = len(frames)
    figure, axes = _cells(1 + len(maps), T + 1)
    mean_frame = frames.mean(0).astype(np.uint8)
    for column in range(T + 1):
        picture = frames[column] if column < T else mean_frame
        _picture(axes[0, column], picture)
        title = f"step {column + 1}" if column < T else "mean"
        axes[0, column].set_title(title, fontsize=9, color=INK, loc="center")
        for row, values in enumerate(maps.values(), start=1):
            _picture(axes[row, column], picture)
            _heat(axes[row, column], values[column] if column < T else values.mean(0), picture.shape)
    for row, name in enumerate(["input", *maps]):
        _row_name(axes[row, 0], name)
    return figure


def _cells(rows: int, columns: int) -> tuple[Figure, Any]:
    return new_figure(1.0 + CELL * columns, 0.35 + CELL * rows, rows, columns)


def _picture(axis: Any, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    axis.imshow(picture, extent=(0, width, height, 0))
    bare(axis)


def _heat(axis: Any, values: np.ndarray, shape: tuple[int, ...]) -> None:
    """A map over a picture, smooth; where it is 0 the picture is seen as it is."""
    size = 4 * np.array(values.shape)
    smooth = _bilinear(np.asarray(values, dtype=np.float64), int(size[0]), int(size[1]))
    axis.imshow(
        smooth, cmap="inferno", vmin=0, vmax=1, alpha=STRENGTH * np.sqrt(smooth), extent=(0, shape[1], shape[0], 0)
    )


def _row_name(axis: Any, name: str) -> None:
    axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9.5, color=INK)


def _bilinear(values: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = (
        np.clip((np.arange(n) + 0.5) * old / n - 0.5, 0, old - 1)
        for n, old in ((height, values.shape[0]), (width, values.shape[1]))
    )
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = np.minimum(top + 1, values.shape[0] - 1), np.minimum(left + 1, values.shape[1] - 1)
    down, along = (rows - top)[:, None], (columns - left)[None]
    upper = values[top][:, left] * (1 - along) + values[top][:, right] * along
    lower = values[bottom][:, left] * (1 - along) + values[bottom][:, right] * along
    return upper * (1 - down) + lower * down
