"""Curves over epochs and steps, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from saccade.errors import require
from saccade.report.figures.style import INK, SERIES, WIDTH, new_figure, percent, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: more classes than this, and the numbers in the cells cannot be read
WRITABLE_CLASSES = 20


@styled
def learning_curves(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Loss and accuracy per epoch: the watched part as lines, the training part dashed.

    Args:
        runs: label -> columns of its metrics.csv, which may hold NaN.
    """
    figure, axes = new_figure(WIDTH, 4.6, 2, 1, sharex=True)
    for kind, axis in zip(("loss", "accuracy"), axes[:, 0], strict=True):
        for (name, columns), color in zip(runs.items(), _colors(len(runs)), strict=True):
            epochs = columns["epoch"]
            for column in (c for c in columns if c.endswith(f"_{kind}")):
                part = column.removesuffix(f"_{kind}")
                style = {"linestyle": "--", "linewidth": 1.2} if part == "train" else {"marker": "o", "markersize": 3}
                axis.plot(epochs, columns[column], color=color, label=f"{name}: {part}" if name else part, **style)
        axis.set_title(kind)
        axis.grid(True, axis="y")
    percent(axes[1, 0].yaxis)
    axes[1, 0].set_xlabel("epoch")
    _whole_numbers(axes[1, 0])
    axes[0, 0].legend(fontsize=10, ncols=2, loc="upper right")
    return figure


@styled
def epochs_figure(curves: Mapping[str, Sequence[float]], score: str, shares: bool) -> Figure:
    """A score after every epoch, one line per variant.

    Args:
        curves: variant -> values.
        score: what they are, for the axis.
        shares: they lie from 0 to 1 and are written as per cent.
    """
    figure, axes = new_figure(WIDTH, 3.0 + 0.18 * (len(curves) // 2))
    axis = axes[0, 0]
    for i, (name, values) in enumerate(curves.items()):
        style = ("-", "--", ":")[i // len(SERIES) % 3]
        axis.plot(range(1, len(values) + 1), values, style, color=SERIES[i % len(SERIES)], label=name)
    axis.set_xlabel("epoch")
    axis.set_ylabel(score)
    if shares:
        percent(axis.yaxis)
    _whole_numbers(axis)
    axis.grid(True, axis="y")
    figure.legend(fontsize=10, ncols=2, loc="outside lower center")
    return figure


@styled
def steps_curve(runs: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracy when the answers of the first 1, 2, ..., T steps are averaged; one line per run."""
    figure, axes = new_figure(WIDTH, 2.7)
    axis = axes[0, 0]
    for (name, accuracy), color in zip(runs.items(), _colors(len(runs)), strict=True):
        axis.plot(range(1, len(accuracy) + 1), accuracy, "o-", color=color, markersize=4, label=name)
    axis.set_xlabel("steps read")
    axis.set_ylabel("accuracy")
    percent(axis.yaxis)
    _whole_numbers(axis)
    axis.grid(True, axis="y")
    if len(runs) > 1:
        axis.legend(fontsize=10)
    return figure


@styled
def confusion_figure(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Counts [K, K], true classes as rows, shaded by the share of the row: nothing where it is 0."""
    colors = require("matplotlib.colors", "report")
    matrix = np.asarray(matrix, dtype=np.int64)
    classes = len(matrix)
    side = min(WIDTH, 2.2 + 0.42 * classes)
    figure, axes = new_figure(side, side * 0.92)
    axis = axes[0, 0]
    share = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    blue = np.array(colors.to_rgb(SERIES[0]))
    axis.imshow(np.dstack([*np.broadcast_to(blue[:, None, None], (3, *share.shape)), share]))  # on any page's colour
    if classes <= WRITABLE_CLASSES:
        for row, column in np.argwhere(matrix > 0):
            color = "#ffffff" if share[row, column] > 0.7 else INK
            axis.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=10, color=color)
        axis.set_xticks(range(classes), class_names, rotation=0 if max(map(len, class_names)) < 3 else 60)
        axis.set_yticks(range(classes), class_names)
    axis.set_xlabel("answer")
    axis.set_ylabel("true class")
    return figure


def _colors(number: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(number)]


def _whole_numbers(axis: Axes) -> None:
    low, high = axis.get_xlim()
    if high - low < 12:
        axis.set_xticks(range(int(np.ceil(low)), int(np.floor(high)) + 1))
