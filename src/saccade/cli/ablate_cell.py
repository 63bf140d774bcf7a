"""The process behind one run of an ablation: trains it, or goes on with it, measures its energy, writes its record.

Called as `python -m saccade.cli.ablate_cell RUN_FOLDER RECORD_FILE` by `saccade ablate`. Leaves with TAKEN if another
process has the run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from filelock import Timeout

from saccade.ablate.record import make_record
from saccade.ablate.run import TAKEN, cell_lock
from saccade.cli import main as saccade
from saccade.files import read_object, write_object


def main(run: Path, record: Path) -> int:
    """Do what is still to do for the run; returns the exit code."""
    try:
        with cell_lock(run).acquire(blocking=False):
            return _finish(run, record)
    except Timeout:
        return TAKEN


def _finish(run: Path, record: Path) -> int:
    if record.exists():
        return 0
    recipe = read_object(run / "config.json")["recipe"]
    for words in (["train", recipe, "--run-dir", str(run), "--resume"], ["energy", str(run)]):
        code = saccade(words)
        if code:
            return code
    write_object(
        record, make_record(run, read_object(run / "cell.json")["varied"], read_object(run / "probe" / "energy.json"))
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
