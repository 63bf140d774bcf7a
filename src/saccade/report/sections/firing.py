"""Which neurons fire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saccade.report import words
from saccade.report.blocks import Block, Fold, Missing, Picture, Table
from saccade.report.content import Run
from saccade.report.figures import raster_figure, raster_title, rates_by_layer, rates_figure
from saccade.report.sections.parts import listed, prefix, slug, with_probe

#: layers of a raster, evenly spaced from first to last
MOST_RASTERS = 5


def firing_section(runs: Sequence[Run]) -> list[Block]:
    """Who fires, how often, and who never or always does."""
    found, blocks = with_probe(runs, "firing")
    if len(found) > 1:
        rates = {run.label: [layer["rate"] for layer in run.probes["firing"]["layers"]] for run in found}
        blocks.append(
            Picture(
                "firing",
                rates_by_layer(rates),
                f"Firing rate of every layer of {listed(found)}.",
                "Spikes per neuron and step, layer by layer, before a gate multiplies them.",
            )
        )
    for run in found:
        layers = run.probes["firing"]["layers"]
        if not layers:
            blocks.append(Missing(f"{prefix(run, runs)}the network has no spiking neurons."))
            continue
        details = _firing_details(run, runs, layers)
        blocks += details if len(found) == 1 else [Fold(f"{run.label}: layers and raster", details)]
    return blocks


def _firing_details(run: Run, runs: Sequence[Run], layers: Sequence[dict[str, Any]]) -> list[Block]:
    samples = run.probes["firing"]["samples"]
    dead, silent = sum(layer["dead"] for layer in layers), sum(layer["neurons"] for layer in layers)
    chosen = _rasters(run, layers)
    blocks: list[Block] = [
        Picture(
            slug("rates", run.label),
            rates_figure([layer["layer"] for layer in layers], [layer["rate_per_step"] for layer in layers]),
            f"Firing rates of {len(layers)} layers at every step; {dead} of {silent} neurons never fire.",
            f"Spikes per neuron at every step, over {samples} samples.",
        )
    ]
    if chosen:
        alt = f"Raster of one sample: spikes of {', '.join(chosen)}."
        blocks.append(
            Picture(
                slug("raster", run.label), raster_figure(chosen), alt, "Spikes of one sample; neurons evenly spaced."
            )
        )
    else:
        blocks.append(Missing("The spikes for a raster are missing."))
    header = ["layer", "neurons", "rate", "never fire", "always fire"]
    rows = [
        [
            layer["layer"],
            words.count(layer["neurons"]),
            words.plain(layer["rate"], 3),
            f"{words.count(layer['dead'])} ({words.percent(layer['dead'] / layer['neurons'], 1)})",
            words.count(layer["saturated"]),
        ]
        for layer in layers
    ]
    caption = f"Neurons that never or always fire, in {samples} samples and all steps"
    blocks.append(Fold("Numbers, layer by layer", [Table(caption, header, rows)]))
    return blocks


def _rasters(run: Run, layers: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Rasters [T, n] of a few layers, evenly spaced from first to last, by their titles."""
    found = run.arrays.get("firing", {})
    there = [layer for layer in layers if f"raster {layer['layer']}" in found]
    chosen = dict.fromkeys(round(i) for i in np.linspace(0, len(there) - 1, MOST_RASTERS)) if there else ()
    rasters = ((there[i], found[f"raster {there[i]['layer']}"]) for i in chosen)
    return {raster_title(layer, raster.shape[1]): raster for layer, raster in rasters}
