"""saccade ablate: one recipe, changed in named fields, with the same seeds for every change, as one table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from saccade.atomic import write_text
from saccade.cli.arguments import Options, parse
from saccade.cli.train import DEFAULT_RECIPE
from saccade.errors import require
from saccade.recipes import get_recipe
from saccade.train.check import check_experiment
from saccade.train.config import Experiment

if TYPE_CHECKING:
    from saccade.ablate import Cell, Grid
    from saccade.ablate.run import GridFolder


@dataclass(kw_only=True)
class AblateArguments(Experiment):
    """A base experiment, what varies in it, and where it runs."""

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")] = ""
    """Recipe to start from; every option below changes one of its fields in all runs."""
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
    attention_options: Options = field(default_factory=dict)
    """Options of the recipe's attention in all runs that have it."""
    model_options: Options = field(default_factory=dict)
    """Further arguments of the network."""

    def experiment(self) -> Experiment:
        """The base alone."""
        return Experiment(**{f.name: getattr(self, f.name) for f in fields(Experiment)})


def main(words: Sequence[str]) -> int:
    """Run what is missing of the grid, then write and print its table."""
    arguments = parse_ablate(words)
    for library in ("lightning", "torchmetrics", "rich", "safetensors", "scipy", "filelock", "matplotlib"):
        require(library, "all")
    if arguments.jobs < 1:
        raise ValueError(f"jobs must be a whole number, 1 or more, not {arguments.jobs}.")

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
    """Parse twice: first to learn the recipe, then with the defaults that it brings."""
    asked_for_help = [word for word in words if word in ("-h", "--help")]
    rest = [word for word in words if word not in asked_for_help]
    first = parse(AblateArguments, rest, "saccade ablate", _defaults(get_recipe(DEFAULT_RECIPE), recipe=""))
    start = get_recipe(first.recipe or DEFAULT_RECIPE)
    text = f"Compare variants of a recipe over seeds. The defaults below are those of {start.recipe}."
    arguments = parse(AblateArguments, [*rest, *asked_for_help], "saccade ablate", _defaults(start), text)
    arguments.recipe = start.recipe
    arguments.model_options = {**start.model_options, **arguments.model_options}
    return arguments


def write_tables(grid: Grid, cells: Sequence[Cell], folder: GridFolder) -> str:
    """Write the tables and the figure of what is finished; returns the table as Markdown."""
    from saccade.ablate import read_records, summarise
    from saccade.ablate.grid import label
    from saccade.report.ablation import csv_text, latex, markdown
    from saccade.report.figures import ablation_figure, to_png

    names = {cell.name for cell in cells}
    records = [r for r in read_records(folder.records) if f"{r['cell']}" in names]
    labels = list(dict.fromkeys(cell.label for cell in cells))
    rows = [asdict(row) for row in summarise(records, labels)]
    if not rows:
        return "No run has finished: there is nothing to compare yet.\n"
    write_text(folder.path / "table.json", json.dumps({"vary": dict(grid.vary), "rows": rows}, indent=1) + "\n")
    write_text(folder.path / "table.csv", csv_text(rows))
    write_text(folder.path / "table.tex", latex(rows))
    text = markdown(rows)
    write_text(folder.path / "table.md", text)
    accuracies = {
        row["label"]: [100 * r["test_accuracy"] for r in records if label(r["varied"]) == row["label"]] for row in rows
    }
    (folder.path / "accuracy.png").write_bytes(to_png(ablation_figure(accuracies)))
    return text


def _widen(experiment: Experiment) -> Experiment:
    from saccade.ablate import width_matched
    from saccade.train.build import build_loaders, check_names

    check_names(experiment)
    return width_matched(experiment, build_loaders(experiment).info)


def _defaults(experiment: Experiment, **changes: str) -> AblateArguments:
    return AblateArguments(**{**asdict(experiment), **changes})


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "(nothing)"
