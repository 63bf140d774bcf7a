"""saccade gates: what the attention modules let through, and how far that is from doing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saccade.cli.arguments import check_count
from saccade.cli.inside import InsideArguments, OpenRun, open_run, parse_inside

if TYPE_CHECKING:
    import numpy as np

    from saccade.probe import Gate
    from saccade.tables import Rows


SAMPLES = 32


@dataclass(kw_only=True)
class GatesArguments(InsideArguments):
    """Which runs, and how many samples."""

    samples: int = SAMPLES
    """Test samples that make the batch, evenly spaced; the first one is also shown alone."""


def main(words: Sequence[str]) -> int:
    """Read the gates of every run and print them."""
    arguments = parse_inside(GatesArguments, words, "gates", "The gates of the attention modules.")
    check_count("samples", arguments.samples)

    from saccade.tables import fold

    for path in arguments.runs:
        gates, effect = probe_gates(open_run(path, arguments), arguments.samples)
        print(f"{path}\n{gates or 'the network has no attention.'}")
        print(fold(effect))
        said = "Deviation: standard deviation over mean, 0 for a gate that does nothing; then of means along one axis."
        print(fold(said))
        print(f"Matrices are in {path}/probe/gates.npz, numbers in gates.json, pictures in gate_*.png.\n")
    return 0


def probe_gates(run: OpenRun, samples: int = SAMPLES) -> tuple[Rows[Gate], str]:
    """Write one run's gates; returns them and a sentence on their effect."""
    import torch

    from saccade.probe import gate_effect, read_gates
    from saccade.report.figures import gate_figure
    from saccade.train.build import generates

    x = torch.cat(run.inputs(samples), 1 if run.info.temporal else 0)
    gates = read_gates(run.model, x)
    effect = None if generates(run.experiment.model) else gate_effect(run.model, x)
    arrays: dict[str, np.ndarray] = {}
    for i, gate in enumerate(gates):
        found = {"matrix": gate.matrix(), "sample": gate.matrix(0), "space": gate.space(0)}
        arrays |= {f"{name}_{i}": values.cpu().numpy() for name, values in found.items() if values is not None}
        figure = gate_figure(arrays[f"matrix_{i}"], arrays[f"sample_{i}"], arrays.get(f"space_{i}"))
        run.draw(f"gate_{i}", figure)
    numbers = [gate.summary() for gate in gates]
    run.store("gates", {"samples": samples, "gates": numbers, "effect": effect}, arrays)
    if effect is None:
        return gates, "There are no answers that holding the gates could change."
    return gates, (
        f"With every gate held at its mean, the outputs change by {effect['logits_changed']:.2%} of their size, and "
        f"{effect['predictions_changed']:.2%} of {samples} answers are others."
    )
