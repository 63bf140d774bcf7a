"""Have the runs of a grid done: one process each, some at a time, by as many callers as share the folder.

A run belongs to the process that holds the lock on its folder; the system frees it when that process dies, however it
dies. So several machines with one file system can work on one grid, and whoever was killed is replaced: by the same
command started again, or by the others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from saccade.ablate.grid import Cell
from saccade.files import write_object
from saccade.train.run_folder import RunFolder

#: what a worker process is called with, before the folder of its cell
WORKER = (sys.executable, "-m", "saccade.cli.ablate_cell")
#: leave code of a worker whose cell is another's
TAKEN = 75
POLL_SECONDS = 0.2

Report = Callable[[str, Cell], None]


class GridFolder:
    """What lies where: RUNS/CELL is a run's folder, RECORDS/CELL.json what is kept of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self.records = path / "records"

    def run(self, cell: Cell) -> Path:
        """The folder of a cell's run."""
        return self.runs / cell.name

    def record(self, cell: Cell) -> Path:
        """The record of a cell; there when it is done."""
        return self.records / f"{cell.name}.json"

    def is_held(self, cell: Cell) -> bool:
        """Whether a process is running a cell, here or elsewhere."""
        try:
            with cell_lock(self.run(cell)).acquire(blocking=False):
                return False
        except Timeout:
            return True

    def log(self, cell: Cell) -> Path:
        """What the cell's process printed."""
        return self.runs / f"{cell.name}.log"

    def epochs_done(self, cell: Cell) -> int:
        """Epochs that a cell has behind it, from its table of metrics."""
        if self.record(cell).exists():
            return cell.experiment.epochs
        try:
            with RunFolder(self.run(cell)).metrics.open(encoding="utf-8") as file:
                return max(0, sum(1 for _ in file) - 1)
        except FileNotFoundError:
            return 0


def cell_lock(run: Path) -> FileLock:
    """The lock on a run's folder: a file beside it."""
    return FileLock(run.with_name(f"{run.name}.lock"))


def run_grid(
    cells: Sequence[Cell], folder: GridFolder, jobs: int, report: Report, tick: Callable[[], None]
) -> list[Cell]:
    """Run every cell that has no record yet; returns those that failed.

    Args:
        cells: in the order in which they are started.
        jobs: processes at a time, of this caller.
        report: called with "started", "finished", "failed" or "elsewhere" (another process holds it), and the cell.
        tick: called a few times a second.

    Raises:
        KeyboardInterrupt: it was stopped; its processes have been stopped too, and can go on.
        ValueError: a folder holds another experiment than the cell's.
    """
    folder.records.mkdir(parents=True, exist_ok=True)
    work = _Work(folder, jobs, report, [cell for cell in cells if not folder.record(cell).exists()])
    for cell in work.pending:
        prepare(folder, cell)
    with _stopping(work):
        while work.pending or work.running:
            work.reap()
            work.fill()
            tick()
            time.sleep(POLL_SECONDS)
    return work.failed


class _Work:
    """What a caller still has to do, is doing, and could not do."""

    def __init__(self, folder: GridFolder, jobs: int, report: Report, pending: list[Cell]) -> None:
        self.folder = folder
        self.jobs = jobs
        self.report = report
        self.pending = pending
        self.running: list[tuple[Cell, subprocess.Popen[bytes]]] = []
        self.failed: list[Cell] = []
        self._elsewhere: set[str] = set()

    def reap(self) -> None:
        """Look after the processes that have ended."""
        for cell, process in [(c, p) for c, p in self.running if p.poll() is not None]:
            self.running.remove((cell, process))
            if self.folder.record(cell).exists():
                self.report("finished", cell)
            elif process.returncode == TAKEN:
                self.pending.append(cell)
            else:
                self.failed.append(cell)
                self.report("failed", cell)

    def fill(self) -> None:
        """Start what nobody runs, as far as there is room."""
        for cell in list(self.pending):
            if self.folder.record(cell).exists():
                self.pending.remove(cell)
                self.report("finished", cell)
            elif self.folder.is_held(cell):
                if cell.name not in self._elsewhere:
                    self._elsewhere.add(cell.name)
                    self.report("elsewhere", cell)
            elif len(self.running) < self.jobs:
                self.pending.remove(cell)
                self.running.append((cell, start(self.folder, cell, self.jobs)))
                self.report("started", cell)

    def stop(self) -> None:
        """Stop the processes politely, so that they say how far they are."""
        for _, process in self.running:
            process.terminate()
        for _, process in self.running:
            process.wait()


def prepare(folder: GridFolder, cell: Cell) -> None:
    """Write what is to be run into the cell's folder, or check that it is what lies there."""
    run = RunFolder(folder.run(cell))
    if not run.config.is_file():
        run.path.mkdir(parents=True, exist_ok=True)
        write_object(run.config, asdict(cell.experiment))
    elif run.read_config() != cell.experiment:
        raise ValueError(
            f"{run.path} holds a run of another experiment. Choose another --out, or delete this folder and its record."
        )
    write_object(run.path / "cell.json", {"varied": dict(cell.varied)})


def start(folder: GridFolder, cell: Cell, jobs: int) -> subprocess.Popen[bytes]:
    """A process that runs a cell; the cores are shared out among the jobs."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    with folder.log(cell).open("ab") as log:
        command = [*WORKER, str(folder.run(cell)), str(folder.record(cell))]
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)


@contextmanager
def _stopping(work: _Work) -> Iterator[None]:
    """Whatever ends this ends the processes; SIGTERM as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        work.stop()
