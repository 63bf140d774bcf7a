"""How a grid is getting on: a bar over the epochs of all runs, and a line for every run that ends."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from saccade.ablate.grid import Cell
from saccade.ablate.run import GridFolder
from saccade.files import read_object

WORDS = {"started": "started", "failed": "FAILED", "elsewhere": "is run by another process; waiting for it"}


class GridProgress:
    """Shows the whole grid; on a terminal as a bar, elsewhere as lines."""

    def __init__(self, cells: Sequence[Cell], folder: GridFolder) -> None:
        self.cells = cells
        self.folder = folder
        self.console = Console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> GridProgress:
        self.bar.start()
        self.task = self.bar.add_task("", total=sum(cell.experiment.epochs for cell in self.cells))
        self.tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def tick(self) -> None:
        """Count again."""
        if self.bar.disable:
            return
        done = sum(self.folder.record(cell).exists() for cell in self.cells)
        epochs = sum(self.folder.epochs_done(cell) for cell in self.cells)
        self.bar.update(self.task, completed=epochs, description=f"{done} of {len(self.cells)} runs")

    def report(self, what: str, cell: Cell) -> None:
        """Say what became of a run."""
        text = WORDS.get(what, what)
        if what == "finished":
            text = f"{read_object(self.folder.record(cell))['test_accuracy']:.2%} of the test samples"
        done = sum(self.folder.record(other).exists() for other in self.cells)
        self.console.print(f"[{done}/{len(self.cells)}] {cell.name}: {text}", markup=False, highlight=False)
