"""Accuracy against the number of steps, with and without an early exit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saccade.report.figures.style import FAINT, SERIES, WIDTH, new_figure, percent, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def anytime_figure(accuracy_by_steps: Sequence[float], exits: Sequence[Mapping[str, float]]) -> Figure:
    """Accuracy against steps used, by all samples alike or by each until it is sure; and what each threshold asks for.

    Args:
        accuracy_by_steps: after 1, 2, ..., T steps, from 0 to 1.
        exits: per threshold "threshold", "accuracy" and "mean_steps".
    """
    figure, axes = new_figure(WIDTH, 5.2, 2, 1)
    steps = range(1, len(accuracy_by_steps) + 1)
    top, bottom = axes[:, 0]
    top.plot(steps, accuracy_by_steps, "o-", color=SERIES[0], markersize=4, label="the same number of steps for all")
    points = sorted(exits, key=lambda found: found["threshold"])
    mean_steps = [found["mean_steps"] for found in points]
    top.plot(mean_steps, [p["accuracy"] for p in points], "s--", color=SERIES[1], markersize=4, label="until sure")
    top.set_xlabel("steps used, mean over samples")
    top.set_ylabel("accuracy")
    percent(top.yaxis)
    bottom.plot(range(len(points)), mean_steps, "s--", color=SERIES[1], markersize=4)
    bottom.set_xticks(range(len(points)), [f"{p['threshold']:g}" for p in points], fontsize=10)
    bottom.axhline(len(accuracy_by_steps), color=FAINT, linewidth=1.0)
    bottom.set_ylim(0.8, len(accuracy_by_steps) + 0.2)
    bottom.set_xlabel("confidence that is asked for")
    bottom.set_ylabel("mean steps")
    for axis in (top, bottom):
        axis.grid(True, axis="y")
    top.legend(fontsize=10, loc="lower right")
    return figure
