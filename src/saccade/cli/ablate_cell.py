"""What the run of a grid needs besides training: the energy of its network, and its paper's score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saccade.ablate.cell import run_cell
from saccade.ablate.folder import GridFolder
from saccade.ablate.grid import Cell
from saccade.cli.energy import EnergyArguments, probe_energy
from saccade.cli.inside import open_run
from saccade.recipes import papers_score
from saccade.train.config import Experiment
from saccade.train.run import train


def run_outside(run: Path, experiment: Experiment, after_epoch: Any) -> dict[str, Any]:
    """Train the run in a folder, or go on with it, and measure it; returns operations and energy as JSON."""
    from saccade.probe import cost_table

    train(experiment, run, resume=True, paper=papers_score(experiment), after_epoch=after_epoch)
    arguments = EnergyArguments()
    report, _ = probe_energy(open_run(run, arguments), arguments.samples, cost_table(arguments.table))
    return report.as_json()


def run_one(cells: Sequence[Cell], number: int, folder: GridFolder) -> int:
    """Do one run of a grid in this process; returns the exit code. Its words go to its log."""
    if not 0 <= number < len(cells):
        raise ValueError(f"This grid has the runs 0 to {len(cells) - 1}, not {number}.")
    cell = cells[number]
    folder.prepare([cell])
    done = run_cell(folder, cell.name, run_outside)
    print(f"{cell.name}: {'done' if done else 'FAILED'}; what it said: {folder.log(cell.name)}")
    return 0 if done else 1
