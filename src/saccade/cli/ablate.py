"""saccade ablate: one recipe, changed in named fields, with the same seeds for every change, as one table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from saccade.cli.arguments import check_count
from saccade.cli.help import Groups
from saccade.cli.train import COMMON, FIELDS, RecipeArguments, parse_recipe
from saccade.errors import require
from saccade.train.check import check_experiment
from saccade.train.config import Experiment

if TYPE_CHECKING:
    from saccade.ablate import Grid, Search


@dataclass(kw_only=True)
class AblateArguments(RecipeArguments):
    """A base experiment, what varies in it, and where it runs."""

    groups: ClassVar[Groups] = {
        "comparison": ("vary", "seeds", "search", "trials", "stop_early", "out"),
        "where runs run": ("jobs", "cpus_per_run", "gpus_per_run", "address", "cell"),
        "common to all runs": COMMON,
        **FIELDS,
    }

    vary: tuple[str, ...] = ()
    """FIELD=VALUE,VALUE,... for every field that varies, e.g. attention=none,matched:tcja,tcja steps=2,4. matched:NAME
    is the network without attention, as much wider as NAME has parameters. attention_options.kernel_time=1,2,3 varies
    an entry of such a field. The first combination is the baseline."""
    search: tuple[str, ...] = ()
    """FIELD=DISTRIBUTION for every field to draw at random, instead of --vary: uniform(A,B), loguniform(A,B),
    integer(A,B) or choice(A,B,...), e.g. lr=loguniform(1e-3,1). Judged on the validation part."""
    trials: int = 20
    """Draws of a search."""
    seeds: int | None = None
    """Runs per combination; their seeds count up from --seed. Default: 3; 1 in a search."""
    stop_early: bool = False
    """End runs that do badly on the validation part before their last epoch (ASHA); tables say which."""
    address: str | None = None
    """Ray cluster to run on: auto (the one this machine belongs to) or ray://HOST:10001. Default: this machine."""
    jobs: int | None = None
    """Runs at a time. Default: as many as there is room for."""
    cpus_per_run: int = 1
    """Cores of a run (of each of its processes)."""
    gpus_per_run: float | None = None
    """GPUs of a run, also a share of one. Default: 1 where there are any, else 0."""
    cell: int | None = None
    """Do one run alone, the N-th from 0, here and without Ray: for the array jobs of a batch system."""
    out: Path | None = None
    """Folder of the grid; default: runs/ablate/RECIPE. The same command goes on where it was stopped."""


def main(words: Sequence[str]) -> int:
    """Run what is missing of the grid, then write and print its table."""
    arguments = parse_ablate(words)
    for library in ("lightning", "torchmetrics", "rich", "safetensors", "scipy", "filelock", "matplotlib"):
        require(library, "all")
    check_count("jobs", arguments.jobs)
    check_count("cpus_per_run", arguments.cpus_per_run)

    from saccade.ablate import Place, run_grid
    from saccade.ablate.folder import GridFolder
    from saccade.cli.ablate_cell import run_one, run_outside
    from saccade.cli.ablate_progress import GridProgress
    from saccade.cli.ablate_tables import write_tables
    from saccade.train.build import check_names

    grid = _grid(arguments)
    cells = grid.cells(_widen)
    for cell in cells:
        check_experiment(cell.experiment)
        check_names(cell.experiment)
    folder = GridFolder(arguments.out or Path("runs") / "ablate" / grid.base.recipe)
    if arguments.cell is not None:
        return run_one(cells, arguments.cell, folder)
    place = Place(
        arguments.address, arguments.jobs, arguments.cpus_per_run, arguments.gpus_per_run, arguments.stop_early
    )
    try:
        with GridProgress(cells, folder) as progress:
            failed = run_grid(cells, folder, place, run_outside, progress.tick)
    except KeyboardInterrupt:
        again = shlex.join(["saccade", "ablate", *words])
        raise KeyboardInterrupt(f"Stopped. Go on with the same command: {again}") from None
    print(write_tables(grid, cells, folder))
    for cell in failed:
        log = folder.log(cell.name)
        print(f"FAILED: {cell.name}; it said: {_last_line(log)} All of it: {log}")
    return 1 if failed else 0


def parse_ablate(words: Sequence[str]) -> AblateArguments:
    """The arguments, with the defaults of the recipe; its fields are those of all runs."""
    return parse_recipe(AblateArguments, words, "saccade ablate", "Compare variants of a recipe over seeds.")


def _grid(arguments: AblateArguments) -> Grid | Search:
    from saccade.ablate import Grid, Search, parse_search, parse_vary

    base = arguments.experiment()
    if arguments.stop_early and not base.validation:
        raise ValueError(
            "--stop-early chooses, and the test set is for the last number only: set a part of the training set aside, "
            "e.g. --validation 0.1."
        )
    if not arguments.search:
        return Grid(base, parse_vary(arguments.vary), 3 if arguments.seeds is None else arguments.seeds)
    if arguments.vary:
        raise ValueError("--vary names all values, --search draws them: use one of the two.")
    seeds = 1 if arguments.seeds is None else arguments.seeds
    return Search(base, parse_search(arguments.search), arguments.trials, seeds)


def _widen(experiment: Experiment) -> Experiment:
    from saccade.ablate import width_matched
    from saccade.train.build import build_loaders, check_names

    check_names(experiment)
    return width_matched(experiment, build_loaders(experiment).info)


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1] if lines else "(nothing)"
