"""saccade speedrun: a recipe against the clock, several times, with mean and spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from saccade.cli.arguments import parse
from saccade.errors import unknown_name
from saccade.recipes import get_recipe
from saccade.tables import format_table
from saccade.train.check import check_experiment
from saccade.train.config import Experiment
from saccade.train.running.run_folder import default_run_dir

#: what can be run against the clock, and by which recipe
RECIPES = {"cifar10": "cifar10-speedrun"}


@dataclass(kw_only=True)
class SpeedrunArguments:
    """What to reach, how often, and where."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = "cifar10"
    """What is run against the clock: cifar10."""
    target: float = 0.92
    """Test accuracy to reach, e.g. 0.90, 0.92 or 0.94."""
    runs: int = 3
    """How often; each run has a seed of its own."""
    data: Literal["cifar10", "cifar10-jpeg", "folder"] = "cifar10"
    """CIFAR-10 itself, CIFAR-10 as JPEG files, or an image folder."""
    data_root: str | None = None
    """Folder that holds the data sets; default: $SACCADE_DATA, or ./data."""
    attention: str | None = None
    """Another attention module than the recipe's."""
    width: float | None = None
    """Another factor on all channel counts."""
    steps: int | None = None
    """Another number of time steps T."""
    epochs: int | None = None
    """Another length of the schedule."""
    batch_size: int | None = None
    """Another batch size."""
    lr: float | None = None
    """Another peak learning rate."""
    seed: int = 0
    """Of the first run; the others count on from it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    backend: str = "auto"
    """LIF kernel: auto, or one by name."""
    compile: bool = False
    """Train through torch.compile."""
    max_batches: int | None = None
    """Stop every epoch, and every evaluation, after so many batches (for a quick try)."""
    run_dir: Path | None = None
    """Folder of all runs, made by it; finished runs found there count. Default: runs/RECIPE/<time>."""


def main(words: Sequence[str]) -> int:
    """Run, and print the table."""
    text = "Train to a target accuracy against the clock, several times."
    arguments = parse(SpeedrunArguments, words, "saccade speedrun", text=text)
    experiment = _experiment(arguments)
    check_experiment(experiment)
    folder = arguments.run_dir or default_run_dir(experiment.recipe)

    from saccade.train.build import check_names
    from saccade.train.speedrun import speedrun

    check_names(experiment)
    result = speedrun(experiment, arguments.target, arguments.runs, folder, say=print)
    print(f"\n{summary_table(result)}\n\nEverything: {folder / 'speedrun.json'}")
    return 0


def _experiment(arguments: SpeedrunArguments) -> Experiment:
    if arguments.name not in RECIPES:
        raise unknown_name("speedrun", arguments.name, RECIPES)
    start = get_recipe(RECIPES[arguments.name])
    same = ("data", "data_root", "seed", "device", "backend", "compile", "max_batches")
    changes = {name: getattr(arguments, name) for name in same}
    for name in ("attention", "width", "steps", "epochs", "batch_size", "lr"):
        value = getattr(arguments, name)
        if value is not None:
            changes[name] = value
    epochs = changes.get("epochs", start.epochs)
    return replace(start, **changes, warmup_epochs=min(start.warmup_epochs, epochs / 4))


def summary_table(result: dict[str, Any]) -> str:
    """The summary as text; the data's note is a row of it."""
    accuracy = result["final_accuracy"]
    reached = f"{result['runs_that_reached_it']} of {len(result['runs'])} runs"
    warm_up = result["warm_up_seconds"]
    rows = [
        ("network", f"{result['network']}, {result['parameters']:,} parameters, recipe {result['recipe']}"),
        ("data", f"{result['data']}" + (f": {result['data_note']}" if result["data_note"] else "")),
        ("target", f"{result['target']:.2%}, reached by {reached}"),
        ("accuracy at the end", _spread(accuracy, "{:.2%}")),
        ("seconds of training to the target", _spread(result["seconds_to_target"], "{:.2f}")),
        ("the same without first-run costs", _spread(result["seconds_to_target_without_first_run_costs"], "{:.2f}")),
        ("warm-up run before", "in an earlier call" if warm_up is None else f"{warm_up:.1f} s"),
        ("machine", f"{result['hardware']}, {result['precision']}"),
        ("kernels that ran", ", ".join(result["lif_backends_that_ran"])),
    ]
    return format_table(rows)


def _spread(values: dict[str, Any] | None, form: str) -> str:
    if values is None:
        return "not reached by every run"
    least, most = form.format(values["min"]), form.format(values["max"])
    deviation = "" if values["sd"] is None else f" +- {form.format(values['sd'])}"
    return f"{form.format(values['mean'])}{deviation} ({least} to {most}, n = {values['n']})"
