"""Firing rates per layer and step, and rasters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.report.figures.style import SERIES, WIDTH, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def rates_figure(layers: Sequence[str], rates: Sequence[Sequence[float]]) -> Figure:
    """Spikes per neuron: layers as rows, steps as columns.

    Args:
        layers: their names, in the network's order.
        rates: `[layers][T]`, 0 to 1; shorter rows for layers that run fewer steps.
    """
    steps = max(map(len, rates))
    values = np.array([[*row, *[np.nan] * (steps - len(row))] for row in rates])
    figure, axes = new_figure(WIDTH, 0.9 + 0.21 * len(layers))
    axis = axes[0, 0]
    greatest = float(np.nanmax(values))
    image = axis.imshow(values, aspect="auto", cmap="viridis", vmin=0, vmax=greatest or 1)
    if not greatest:
        axis.set_title("no neuron fired")
    axis.set_yticks(range(len(layers)), layers, fontsize=10)
    axis.set_xticks(range(0, steps, max(1, steps // 10)), range(1, steps + 1, max(1, steps // 10)))
    axis.set_xlabel("step")
    bar = figure.colorbar(image, ax=axis, pad=0.02)
    bar.set_label("spikes per neuron")
    bar.outline.set_visible(False)
    return figure


@styled
def rates_by_layer(runs: Mapping[str, Sequence[float]]) -> Figure:
    """Rate of every layer from first to last, one line per run."""
    figure, axes = new_figure(WIDTH, 2.8)
    axis = axes[0, 0]
    for i, (name, rates) in enumerate(runs.items()):
        axis.plot(range(1, len(rates) + 1), rates, "o-", color=SERIES[i % len(SERIES)], markersize=3, label=name)
    axis.set_xlabel("layer of neurons, from the input on")
    axis.set_ylabel("spikes per neuron and step")
    axis.set_ylim(bottom=0)
    axis.grid(True, axis="y")
    axis.legend(fontsize=10)
    return figure


@styled
def raster_figure(rasters: Mapping[str, np.ndarray]) -> Figure:
    """Spikes of one sample: for each layer a block of neurons (rows) over steps (columns).

    Args:
        rasters: title of a block -> bool [T, n].
    """
    figure, axes = new_figure(WIDTH, 0.5 + 1.15 * len(rasters), len(rasters), 1, sharex=True)
    for axis, (name, raster) in zip(axes[:, 0], rasters.items(), strict=True):
        steps, neurons = np.nonzero(raster)
        axis.hlines(neurons, steps + 0.65, steps + 1.35, color=SERIES[0], linewidth=1, rasterized=len(steps) > 600)
        axis.set_title(name if len(steps) else f"{name}: none fired", fontsize=10)
        axis.set_xlim(0.5, len(raster) + 0.5)
        axis.set_ylim(-1, raster.shape[1])
        axis.set_yticks([])
    axes[-1, 0].set_xlabel("step")
    axes[-1, 0].set_xticks(range(1, len(raster) + 1, max(1, len(raster) // 10)))
    return figure


def raster_title(layer: Mapping[str, Any], shown: int) -> str:
    """Which layer, and how many of its neurons a raster shows."""
    return f"{layer['layer']}: {shown} of {layer['neurons']:,} neurons"
