"""saccade train: a recipe, changed field by field, trained in a folder of its own."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import tyro

from saccade.cli.arguments import Options, parse
from saccade.cli.help import Groups
from saccade.cli.own import own_recipe
from saccade.errors import require
from saccade.files import read_object
from saccade.plugins import run_recorded
from saccade.recipes import get_recipe, list_recipes, papers_score, recipe_text
from saccade.tables import result_table
from saccade.train.check import check_experiment
from saccade.train.config import Experiment, from_dict
from saccade.train.running.run_folder import RunFolder, default_run_dir, open_run

DEFAULT_RECIPE = "digits-dta"


#: how the fields of an experiment stand in the help; those that most runs change come first
COMMON = ("attention", "epochs", "seed", "steps", "width", "batch_size", "lr", "data_root", "device")
FIELDS: Groups = {
    "network": ("model", "attention_options", "placement", "model_options", "code"),
    "data": (
        "data", "image_size", "augment", "mix", "mix_alpha", "mix_probability", "cutout", "validation", "accumulate",
        "workers",
    ),
    "learning": (
        "loss", "label_smoothing", "tet_lambda", "optimizer", "momentum", "weight_decay", "warmup_epochs", "schedule",
        "ema_decay", "gradient_clip", "on_divergence",
    ),
    "machine": (
        "devices", "nodes", "sync_batchnorm", "precision", "backend", "compile", "grad_checkpointing", "max_batches",
    ),
}  # fmt: skip


@dataclass(kw_only=True)
class RecipeArguments(Experiment):
    """An experiment, by its recipe."""

    groups: ClassVar[Groups] = {"common": COMMON, **FIELDS}

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")] = ""
    """Recipe to start from, of the package or of a file of your own (FILE.py or FILE.py:NAME). Every option below
    changes one of its fields."""
    attention_options: Options = field(default_factory=dict)
    """Options of the attention, e.g. kernel_time 4."""
    model_options: Options = field(default_factory=dict)
    """Further arguments of the network, e.g. dropout 0.5."""
    code_sha256: tyro.conf.Suppress[str | None] = None

    def experiment(self) -> Experiment:
        """The experiment alone."""
        return Experiment(**{f.name: getattr(self, f.name) for f in fields(Experiment)})


A = TypeVar("A", bound=RecipeArguments)


@dataclass(kw_only=True)
class TrainArguments(RecipeArguments):
    """An experiment, and where it runs."""

    groups: ClassVar[Groups] = {"common": (*COMMON, "run_dir", "resume", "config"), **FIELDS}

    run_dir: Path | None = None
    """Folder of the run, made by it; default: runs/RECIPE/<time>."""
    resume: bool = False
    """Go on with the run in the folder, with its own settings, or start one if there is none."""
    config: Path | None = None
    """config.json of a run to repeat, instead of a recipe."""


def main(words: Sequence[str]) -> int:
    """Train, and print the result."""
    arguments = parse_train(words)
    experiment = arguments.experiment()
    check_experiment(experiment)
    for library in ("lightning", "torchmetrics", "rich", "safetensors"):
        require(library, "train")
    run_dir = arguments.run_dir or default_run_dir(experiment.recipe)
    folder = open_run(run_dir, experiment, arguments.resume)  # refuses a folder before torch is loaded

    from saccade.train.build import check_names

    check_names(experiment)

    from saccade.train.run import train

    if folder.is_finished(experiment):
        print(f"The run in {run_dir} is finished already; this is its result.")
    try:
        result = train(experiment, run_dir, arguments.resume, papers_score(experiment))
    except KeyboardInterrupt:
        again = f"saccade train {experiment.recipe} --run-dir {shlex.quote(str(run_dir))} --resume"
        raise KeyboardInterrupt(f"Stopped. Go on from the last whole epoch with: {again}") from None
    if result:  # one of several processes says it for all
        print(result_table(result))
    return 0


def parse_train(words: Sequence[str]) -> TrainArguments:
    """The arguments, with the defaults of the recipe or of the run that is to go on."""
    text = f"Train a network by recipe: one of `saccade recipes` (default: {DEFAULT_RECIPE}) or of your own file."
    return parse_recipe(TrainArguments, words, "saccade train", text, _recorded)


def _recorded(arguments: TrainArguments, recipe: str) -> Experiment | None:
    """The experiment of the run that is to be repeated, or gone on with."""
    if arguments.config is not None:
        there = from_dict(read_object(arguments.config))
        if recipe not in ("", there.recipe):
            raise ValueError(f"{arguments.config} is of recipe {there.recipe!r}, not {recipe!r}. Leave one out.")
        return there
    if not arguments.resume:
        return None
    if arguments.run_dir is None:
        raise ValueError("--resume needs --run-dir: the folder of the run that is to go on.")
    folder = RunFolder(arguments.run_dir)
    if not folder.config.is_file():
        return None
    there = folder.read_config()
    if recipe not in ("", there.recipe):
        raise ValueError(
            f"{folder.path} holds a run of recipe {there.recipe!r}, not {recipe!r}. Choose another --run-dir."
        )
    return there


def parse_recipe(
    kind: type[A],
    words: Sequence[str],
    prog: str,
    text: str,
    start_of: Callable[[A, str], Experiment | None] = lambda *_: None,
) -> A:
    """Parse twice: first to learn where to start from, then with the defaults that this brings.

    Args:
        kind: what is filled in.
        words: the command line behind the verb.
        prog: program and verb, for the help.
        text: first paragraph of the help.
        start_of: from the first parse and the recipe's name (or ""), an experiment to start from instead of a recipe.

    A file of the user's own, named as the recipe or by --code, is run before anything is looked up by name.
    """
    asked_for_help = [word for word in words if word in ("-h", "--help")]
    words = [word for word in words if word not in asked_for_help]
    first = parse(kind, words, prog, kind(**{**asdict(get_recipe(DEFAULT_RECIPE)), "recipe": ""}))
    code, recipe = own_recipe(first.recipe, first.code)
    start = start_of(first, recipe)
    if start is not None and start.code and code is None:
        run_recorded(start.code, start.code_sha256 or "", f"The run of {start.recipe}")
    start = start or get_recipe(recipe or DEFAULT_RECIPE)
    if start.recipe in list_recipes():
        text += (
            f"\n\nThe defaults below are those of {start.recipe}: {recipe_text(start.recipe).splitlines()[0]} "
            f"More about it: saccade recipes {first.recipe or start.recipe}"
        )
    arguments = parse(kind, [*words, *asked_for_help], prog, kind(**asdict(start)), text)
    arguments.recipe = start.recipe
    arguments.code, arguments.code_sha256 = start.code, start.code_sha256
    if code is not None:
        arguments.code, arguments.code_sha256 = str(code.path), code.sha256
    arguments.model_options = {**start.model_options, **arguments.model_options}
    if arguments.attention == start.attention:
        arguments.attention_options = {**start.attention_options, **arguments.attention_options}
    elif arguments.attention_options == start.attention_options:
        arguments.attention_options = {}  # those of the recipe belong to another attention
    return arguments
