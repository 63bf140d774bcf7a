"""What lies where in the folder of a grid, and how far its runs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from saccade.ablate.grid import Cell
from saccade.files import read_object, write_object
from saccade.train.running.run_folder import RunFolder


class GridFolder:
    """RUNS/CELL is a run's folder, RECORDS/CELL.json what is kept of it.

    A run belongs to the process that holds the lock beside its folder; the system frees it when that process dies,
    however it dies. So a run that is started again waits until a process that nobody could stop in time is gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self.records = path / "records"

    def run(self, cell: str) -> Path:
        """The folder of a cell's run."""
        return self.runs / cell

    def record(self, cell: str) -> Path:
        """The record of a cell; there when it is done."""
        return self.records / f"{cell}.json"

    def log(self, cell: str) -> Path:
        """What the cell's process printed."""
        return self.runs / f"{cell}.log"

    def lock(self, cell: str) -> FileLock:
        """Held by whoever runs a cell."""
        return FileLock(self.runs / f"{cell}.lock")

    def mark(self, cell: str) -> Path:
        """There when a cell was stopped early: after which epoch, and how it scored."""
        return self.runs / f"{cell}.stopped.json"

    def stopped(self, cell: str) -> dict[str, Any] | None:
        """What a cell that was stopped early left; None for all others."""
        return read_object(self.mark(cell)) if self.mark(cell).is_file() else None

    def epochs_done(self, cell: Cell) -> int:
        """Epochs that a cell has behind it, from its table of metrics; all of them once nothing is left to do."""
        if self.record(cell.name).exists() or self.mark(cell.name).exists():
            return cell.experiment.epochs
        return len(self.rows(cell.name))

    def rows(self, cell: str) -> list[dict[str, str]]:
        """The cell's table of metrics so far."""
        try:
            return RunFolder(self.run(cell)).read_metrics()
        except FileNotFoundError:
            return []

    def prepare(self, cells: Sequence[Cell]) -> None:
        """Write what is to be run into the cells' folders, or check that it is what lies there.

        Raises:
            ValueError: a folder holds another experiment than its cell.
        """
        self.records.mkdir(parents=True, exist_ok=True)
        for cell in cells:
            run = RunFolder(self.run(cell.name))
            if not run.config.is_file():
                run.path.mkdir(parents=True, exist_ok=True)
                write_object(run.config, asdict(cell.experiment))
            elif run.read_config() != cell.experiment:
                raise ValueError(
                    f"{run.path} holds a run of another experiment. Choose another --out, or delete this folder and "
                    "its record."
                )
            write_object(run.path / "cell.json", {"varied": dict(cell.varied)})
