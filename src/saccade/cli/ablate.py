"""saccade ablate: one recipe, changed in named fields, with the same seeds for every change, as one table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.atomic import write_text
from saccade.cli.arguments import check_count
from saccade.cli.train import RecipeArguments, parse_recipe
from saccade.errors import require
from saccade.train.check import check_experiment
from saccade.train.config import Experiment

if TYPE_CHECKING:
    from saccade.ablate import Cell, Grid
    from saccade.ablate.run import GridFolder


@dataclass(kw_only=True)
class AblateArguments(RecipeArguments):
    """A base experiment, what varies in it, and where it runs."""

    vary: tuple[str, ...] = ()
    """FIELD=VALUE,VALUE,... for every field that varies, e.g. attention=none,matched:tcja,tcja steps=2,4. matched:NAME
    is the network without attention, as much wider as NAME has parameters. attention_options.kernel_time=1,2,3 varies
    an entry of such a field. The first combination is the baseline."""
    seeds: int = 3
    """Runs per combination; their seeds count up from --seed."""
    jobs: int = 1
    """Processes at a time on this machine. More machines: start the same command on them, on one file system."""
    out: Path | None = None
    """Folder of the grid; default: runs/ablate/RECIPE. The same command goes on where it was stopped."""


def main(words: Sequence[str]) -> int:
    """Run what is missing of the grid, then write and print its table."""
    arguments = parse_ablate(words)
    for library in ("lightning", "torchmetrics", "rich", "safetensors", "scipy", "filelock", "matplotlib"):
        require(library, "all")
    check_count("jobs", arguments.jobs)

    from saccade.ablate import Grid, parse_vary
    from saccade.ablate.run import GridFolder, run_grid
    from saccade.cli.ablate_progress import GridProgress
    from saccade.train.build import check_names

    grid = Grid(arguments.experiment(), parse_vary(arguments.vary), arguments.seeds)
    cells = grid.cells(_widen)
    for cell in cells:
        check_experiment(cell.experiment)
        check_names(cell.experiment)
    folder = GridFolder(arguments.out or Path("runs") / "ablate" / grid.base.recipe)
    try:
        with GridProgress(cells, folder) as progress:
            failed = run_grid(cells, folder, arguments.jobs, progress.report, progress.tick)
    except KeyboardInterrupt:
        again = shlex.join(["saccade", "ablate", *words])
        raise KeyboardInterrupt(f"Stopped. Go on with the same command: {again}") from None
    print(write_tables(grid, cells, folder))
    for cell in failed:
        print(f"FAILED: {cell.name}; it said: {_last_line(folder.log(cell))} All of it: {folder.log(cell)}")
    print(f"Records, table.md, table.csv, table.tex and accuracy.png are in {folder.path}.")
    return 1 if failed else 0


def parse_ablate(words: Sequence[str]) -> AblateArguments:
    """The arguments, with the defaults of the recipe; its fields are those of all runs."""
    return parse_recipe(AblateArguments, words, "saccade ablate", "Compare variants of a recipe over seeds.")


def write_tables(grid: Grid, cells: Sequence[Cell], folder: GridFolder) -> str:
    """Write the tables and the figure of what is finished; returns the table as Markdown."""
    from saccade.ablate import read_records, summarise
    from saccade.ablate.statistics import by_label
    from saccade.report.ablation import csv_text, latex, markdown
    from saccade.report.figures import ablation_figure, write_png

    names = {cell.name for cell in cells}
    records = [r for r in read_records(folder.records) if r["cell"] in names]
    labels = list(dict.fromkeys(cell.label for cell in cells))
    rows = [asdict(row) for row in summarise(records, labels)]
    if not rows:
        return "No run has finished: there is nothing to compare yet.\n"
    write_text(folder.path / "table.json", json.dumps({"vary": dict(grid.vary), "rows": rows}, indent=1) + "\n")
    write_text(folder.path / "table.csv", csv_text(rows))
    write_text(folder.path / "table.tex", latex(rows))
    text = markdown(rows)
    write_text(folder.path / "table.md", text)
    groups = by_label(records, labels).items()
    accuracies = {name: [100 * r["test_accuracy"] for r in found] for name, found in groups}
    write_png(folder.path / "accuracy.png", ablation_figure(accuracies))
    return text


def _widen(experiment: Experiment) -> Experiment:
    from saccade.ablate import width_matched
    from saccade.train.build import build_loaders, check_names

    check_names(experiment)
    return width_matched(experiment, build_loaders(experiment).info)


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "(nothing)"
