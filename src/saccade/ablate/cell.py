"""One run of a grid, from wherever it stands to its record."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from saccade.ablate.folder import GridFolder
from saccade.ablate.record import make_record
from saccade.files import read_object, write_object
from saccade.train.config import Experiment
from saccade.train.running.run_folder import RunFolder

#: called with every row of the run's table of epochs
AfterEpoch = Callable[[dict[str, Any]], None]
#: trains the run in a folder, or goes on with it; returns operations and energy of its network as JSON
Work = Callable[[Path, Experiment, "AfterEpoch | None"], dict[str, Any]]


def run_cell(folder: GridFolder, cell: str, work: Work, after_epoch: AfterEpoch | None = None) -> bool:
    """Do what is still to do for a cell; returns whether it has a record now. Its words go to its log.

    What the run itself finds wrong is left in the log, since doing it again would not help. A finished run is not
    trained again, and one whose record is there is not touched.
    """
    log = folder.log(cell).open("a", encoding="utf-8")
    with log, redirect_stdout(log), redirect_stderr(log), folder.lock(cell):
        if folder.record(cell).exists():
            return True
        try:
            _finish(folder, cell, work, after_epoch)
        except Exception as error:
            if not isinstance(error, ValueError | FileNotFoundError):
                traceback.print_exc()
            print(f"saccade: {error}", file=log, flush=True)
            return False
    return True


def _finish(folder: GridFolder, cell: str, work: Work, after_epoch: AfterEpoch | None) -> None:
    run = RunFolder(folder.run(cell))
    experiment = run.read_config()
    # several processes are started by `train` itself, and tell nobody here
    several = (experiment.devices or 1) * (experiment.nodes or 1) > 1
    energy = work(run.path, experiment, None if several else after_epoch)
    write_object(folder.record(cell), make_record(run.path, read_object(run.path / "cell.json")["varied"], energy))
