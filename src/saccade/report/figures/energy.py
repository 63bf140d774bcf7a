"""Energy by what it is spent on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from saccade.report.figures.style import INK, SERIES, WIDTH, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {
    "synapse": "convolutions and linear layers",
    "attention": "attention",
    "neuron": "neurons",
    "other": "pooling and sums",
}


@styled
def energy_bars(networks: Mapping[str, Mapping[str, float]], unit: str) -> Figure:
    """One bar for each network, in parts.

    Args:
        networks: label -> kind of layer -> energy, in `unit`.
        unit: written at the axis.
    """
    figure, axes = new_figure(WIDTH, 1.25 + 0.42 * len(networks))
    axis = axes[0, 0]
    names = list(networks)[::-1]
    left = dict.fromkeys(names, 0.0)
    for kind, color in zip(KINDS, SERIES, strict=False):
        values = [networks[name].get(kind, 0.0) for name in names]
        axis.barh(names, values, left=[left[name] for name in names], color=color, height=0.62, label=KINDS[kind])
        for name, value in zip(names, values, strict=True):
            left[name] += value
    for i, name in enumerate(names):
        place = {"xy": (left[name], i), "xytext": (4, 0), "textcoords": "offset points"}
        axis.annotate(f"{left[name]:.3g}", **place, va="center", fontsize=10, color=INK)
    axis.set_xlabel(f"energy per sample ({unit})")
    axis.set_xlim(0, 1.15 * max([*left.values(), 1e-12]))
    axis.tick_params(axis="y", labelcolor=INK, length=0)
    figure.legend(fontsize=10, ncols=2, loc="outside upper left")
    return figure
