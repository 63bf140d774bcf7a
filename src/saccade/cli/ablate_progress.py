"""How a grid is getting on, read from its folder: a bar over the epochs of all runs, and a line for every change."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from saccade.ablate.folder import GridFolder
from saccade.ablate.grid import Cell
from saccade.ablate.score import SCORES, final_score, score_of
from saccade.files import read_object


class GridProgress:
    """Shows the whole grid; on a terminal as a bar, elsewhere as lines."""

    def __init__(self, cells: Sequence[Cell], folder: GridFolder) -> None:
        self.cells = cells
        self.folder = folder
        self.console = Console()
        self.said: dict[str, str] = {}
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def tick(self) -> None:
        """Look again."""
        for cell in self.cells:
            text = self._state(cell.name)
            if text is not None and self.said.get(cell.name) != text:
                self.said[cell.name] = text
                self.console.print(
                    f"[{self._done()}/{len(self.cells)}] {cell.name}: {text}", markup=False, highlight=False
                )
        if not self.bar.disable:
            epochs = sum(self.folder.epochs_done(cell) for cell in self.cells)
            self.bar.update(self.task, completed=epochs, description=f"{self._done()} of {len(self.cells)} runs")

    def _done(self) -> int:
        return sum(self.folder.record(cell.name).exists() for cell in self.cells)

    def _state(self, cell: str) -> str | None:
        """Where a run stands, in words; None: it has not begun."""
        if self.folder.record(cell).exists():
            record = read_object(self.folder.record(cell))
            score, _ = score_of(name for name in record if name.startswith("test_"))
            value = final_score(record)
            return (
                f"{value:.2f}% of the test samples" if score is SCORES[0] else f"test reconstruction error {value:.4f}"
            )
        stopped = self.folder.stopped(cell)
        if stopped is not None:
            return f"stopped early, after epoch {stopped['after_epoch']}"
        return "started" if self.folder.log(cell).exists() else None
