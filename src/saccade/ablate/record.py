"""What is kept of a run: its result with the whole experiment, every epoch's accuracy, and operations and energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from saccade.ablate.score import score_of
from saccade.files import read_object
from saccade.train.running.run_folder import RunFolder

#: of where it ran, not of what was run
PRIVATE = ("code", "data_root")


def make_record(run: Path, varied: Mapping[str, str], energy: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a finished run: no path of the machine is in it.

    Args:
        run: folder of the finished run.
        varied: the grid's values for it, as they were written.
        energy: an energy report as JSON; its sums are kept.
    """
    folder = RunFolder(run)
    result = folder.read_result()
    if result is None:
        raise ValueError(f"{run} holds no finished run: there is no {folder.result.name} in it.")
    experiment = {name: value for name, value in asdict(folder.read_config()).items() if name not in PRIVATE}
    kept = ("samples", "table", "sums", "energy_mj", "relu_energy_mj", "papers", "not_counted")
    return {
        **result,
        "cell": run.name,
        "varied": dict(varied),
        "epochs_scored": scored_epochs(folder.read_metrics()),
        "energy": {name: energy[name] for name in kept if name in energy},
        "experiment": experiment,
    }


def scored_epochs(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Which part was scored after every epoch, "validation" or "test", and the scores under their name."""
    score, part = score_of(rows[0])
    return {"part": part, score.name: [float(row[f"{part}_{score.name}"]) for row in rows]}


def read_records(folder: Path) -> list[dict[str, Any]]:
    """All records of a folder, in the order of their names."""
    return [read_object(path) for path in sorted(folder.glob("*-seed*.json"))]
