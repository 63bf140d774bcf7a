"""An ablation at a glance: every run as a dot, every variant's mean as a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saccade.report.figures.style import INK, LINE, SERIES, WIDTH, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def ablation_figure(scores: Mapping[str, Sequence[float]], score: str = "accuracy") -> Figure:
    """Test score after the last epoch.

    Args:
        scores: variant -> percent, or error, for every seed; the first is the baseline, whose mean goes through all.
        score: "accuracy" or "reconstruction".
    """
    figure, axes = new_figure(WIDTH, 0.9 + 0.34 * len(scores))
    axis = axes[0, 0]
    means = [sum(values) / len(values) for values in scores.values()]
    axis.axvline(means[0], color=LINE, linewidth=1.2, zorder=0)
    for row, (values, mean) in enumerate(zip(scores.values(), means, strict=True)):
        heights = [row + 0.09 * (seed - (len(values) - 1) / 2) for seed in range(len(values))]  # none hides another
        axis.plot(values, heights, "o", color=SERIES[0], markersize=5, alpha=0.55, markeredgewidth=0)
        axis.plot([mean, mean], [row - 0.3, row + 0.3], color=SERIES[1], linewidth=2.2)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.set_ylim(len(scores) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.grid(True, axis="x")
    name = "accuracy after the last epoch, %" if score == "accuracy" else "reconstruction error after the last epoch"
    # across the figure: beside long names of variants the axis is too narrow for it
    figure.supxlabel(f"test {name}\n(dots: seeds; bars: means; line: mean of the first row)", fontsize=10, color=INK)
    return figure
