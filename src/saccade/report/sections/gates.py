"""What attention does: its gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saccade.report import words
from saccade.report.blocks import Block, Fold, Missing, Picture, Table, Text
from saccade.report.content import Run
from saccade.report.figures import gate_figure
from saccade.report.sections.parts import prefix, slug, with_probe

#: a network with a gate in every block would fill the page; the others are folded away
MOST_GATES = 4
DEVIATION = (
    "Deviation: a gate's standard deviation over its mean, 0 for a gate that is the same everywhere and does nothing "
    "that the next weights could not; then the same of its means along one axis alone: over time, channels, samples, "
    "space."
)


def gates_section(runs: Sequence[Run]) -> list[Block]:
    """The gates and how far they are from doing nothing."""
    found, blocks = with_probe(runs, "gates")
    for run in found:
        gates = run.probes["gates"]["gates"]
        if not gates:
            blocks.append(Missing(f"{prefix(run, runs)}the network has no attention, so there is no gate to look at."))
            continue
        blocks += _effect(run, runs)
        arrays = run.arrays.get("gates", {})
        pictures = [_gate_picture(run, runs, i, gate) for i, gate in enumerate(gates) if f"matrix_{i}" in arrays]
        blocks += pictures[:MOST_GATES]
        if len(pictures) > MOST_GATES:
            blocks.append(Fold(f"{prefix(run, runs)}{len(pictures) - MOST_GATES} more gates", pictures[MOST_GATES:]))
        if len(pictures) < len(gates):
            blocks.append(Missing(f"{prefix(run, runs)}the arrays of {len(gates) - len(pictures)} gates are missing."))
        blocks.append(_gate_table(run, runs, gates))
    if any(isinstance(block, Table) for block in blocks):
        blocks.append(Text(DEVIATION))
    return blocks


def _effect(run: Run, runs: Sequence[Run]) -> list[Block]:
    effect = run.probes["gates"].get("effect")
    if effect is None:
        return []
    samples = run.probes["gates"].get("samples")
    return [
        Text(
            f"{prefix(run, runs)}With every gate held at its mean, the outputs change by "
            f"{words.percent(effect['logits_changed'])} of their size, and "
            f"{words.percent(effect['predictions_changed'])} of {samples} answers are others."
        )
    ]


def _gate_picture(run: Run, runs: Sequence[Run], i: int, gate: dict[str, Any]) -> Picture:
    arrays = run.arrays["gates"]
    T, C = arrays[f"matrix_{i}"].shape
    return Picture(
        slug("gate", run.label, i),
        gate_figure(arrays[f"matrix_{i}"], arrays.get(f"sample_{i}"), arrays.get(f"space_{i}")),
        f"Gate {gate['layer']}, {T} steps by {C} channels, from {words.plain(gate['min'], 3)} to "
        f"{words.plain(gate['max'], 3)}, mean {words.plain(gate['mean'], 3)}.",
        f"{prefix(run, runs)}{gate['kind']} at {gate['layer']}: how much of each channel passes at each step. "
        f"Deviation from doing nothing: {words.plain(gate['deviation'], 3)}.",
    )


def _gate_table(run: Run, runs: Sequence[Run], gates: Sequence[dict[str, Any]]) -> Table:
    header = ["gate", "kind", "mean", "least", "greatest", "deviation", "over time", "channels", "samples", "space"]
    rows = [
        [
            gate["layer"],
            gate["kind"],
            *(words.plain(gate[key], 3) for key in ("mean", "min", "max", "deviation")),
            *(words.plain(gate["deviation_by"][axis], 3) for axis in ("time", "channel", "sample", "space")),
        ]
        for gate in gates
    ]
    return Table(f"{prefix(run, runs)}gates in numbers", header, rows)
