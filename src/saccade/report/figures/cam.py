"""Grad-CAM over input pictures: classes in columns and networks in rows, or steps in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.errors import require
from saccade.report.figures.style import INK, bare, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = 0.7
#: of red over a picture, where a map is highest
STRENGTH = 0.65
#: pixels of a map, made smooth
SMOOTH = 32
#: letters that fit above a cell
LONGEST_TITLE = 11


@styled
def cam_rows(pictures: np.ndarray, maps: Mapping[str, np.ndarray], titles: Sequence[str]) -> Figure:
    """The rows of the DTA paper: the inputs, then each network's maps over them in grey.

    Colours go from the least to the greatest value of each map: they show where, not how much.

    Args:
        pictures: [N, H, W, 3] as uint8.
        maps: label -> [N, h, w].
        titles: of the N columns.
    """
    figure, axes = _cells(1 + len(maps), len(pictures))
    for column, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        short = title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}\u2026"
        shown = [values[column] for values in maps.values()]
        _column(axes[:, column], short, picture, [_stretched(values) for values in shown], shown)
    _finish(figure, axes, ["input", *maps])
    return figure


@styled
def cam_steps(frames: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """One sample over time: the frames, then each network's maps of all steps, and last their mean.

    Colours go from the least to the greatest value of a network's maps over all steps, so that steps can be compared.

    Args:
        frames: [T, H, W, 3] as uint8.
        maps: label -> [T, h, w].
    """
    T = len(frames)
    stretched = [_stretched(values) for values in maps.values()]
    figure, axes = _cells(1 + len(maps), T + 1)
    mean_frame = frames.mean(0).astype(np.uint8)
    for column in range(T + 1):
        picture = frames[column] if column < T else mean_frame
        title = f"step {column + 1}" if column < T else "mean"
        shown, raw = ([v[column] if column < T else v.mean(0) for v in of] for of in (stretched, maps.values()))
        _column(axes[:, column], title, picture, shown, raw)
    _finish(figure, axes, ["input", *maps])
    return figure


def _cells(rows: int, columns: int) -> tuple[Figure, Any]:
    return new_figure(1.5 + CELL * columns, 0.35 + CELL * rows, rows, columns)


def _column(axes: Any, title: str, picture: np.ndarray, maps: Sequence[np.ndarray], raw: Sequence[np.ndarray]) -> None:
    """A picture, and below it each map over the picture in grey, whose colours would be taken for the map's.

    A map that was 0 everywhere before it was stretched says so.
    """
    _picture(axes[0], picture)
    axes[0].set_title(title, fontsize=9, loc="center")
    grey = picture.mean(-1, keepdims=True).repeat(3, -1).round().astype(np.uint8)
    for axis, values, before in zip(axes[1:], maps, raw, strict=True):
        _picture(axis, grey)
        _heat(axis, values, picture.shape)
        if not before.any():
            axis.text(0.5, 0.5, "all 0", transform=axis.transAxes, ha="center", va="center", fontsize=9, color="white")


def _stretched(values: np.ndarray) -> np.ndarray:
    """From the least value at 0 to the greatest at 1; all 0 if they are equal."""
    low, span = values.min(), np.ptp(values)
    return (values - low) / span if span > 0 else np.zeros_like(values)


def _picture(axis: Any, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    axis.imshow(picture, extent=(0, width, height, 0))
    bare(axis)


def _heat(axis: Any, values: np.ndarray, shape: tuple[int, ...]) -> None:
    """A map over a picture, smooth; where it is 0 the picture is seen as it is."""
    height, width = (max(SMOOTH, size) for size in values.shape)
    smooth = _bilinear(np.asarray(values, dtype=np.float64), height, width)
    axis.imshow(smooth, cmap=_heat_colors(), vmin=0, vmax=1, extent=(0, shape[1], shape[0], 0))


def _heat_colors() -> Any:
    """From nothing over yellow to dark red."""
    colors = require("matplotlib", "report").colormaps["YlOrRd"](np.linspace(0, 1, 64))
    colors[:, 3] = STRENGTH * np.linspace(0, 1, 64)
    return require("matplotlib.colors", "report").ListedColormap(colors)


def _finish(figure: Figure, axes: Any, names: Sequence[str]) -> None:
    """Names of the rows, and the scale of the maps."""
    for axis, name in zip(axes[:, 0], names, strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=INK)
    if len(names) > 1:
        maps = axes[1, 0].images[-1]
        bar = figure.colorbar(maps, ax=list(axes[1:].flat), ticks=[0, 1], pad=0.01, fraction=0.03, aspect=9)
        bar.set_ticklabels(["least", "greatest"], fontsize=8)
        bar.ax.set_facecolor("white")
        bar.outline.set_visible(False)


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
