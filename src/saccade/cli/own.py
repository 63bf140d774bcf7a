"""Files of the user's own on the command line: as a recipe, FILE.py or FILE.py:NAME, and beside a run, --code FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from saccade.errors import unknown_name
from saccade.plugins import Code, run_file, run_recorded, split_recipe
from saccade.recipes import recipes_of
from saccade.train.config import Experiment
from saccade.train.running.run_folder import RunFolder, find_run


def own_recipe(word: str, code: str | None) -> tuple[Code | None, str]:
    """Run the file that a command line names, if any.

    Args:
        word: what stands where a recipe is expected: FILE.py, FILE.py:NAME, a name, or nothing.
        code: what `--code` says.

    Returns:
        The file, and the name of a recipe; "" where none is named.

    Raises:
        ValueError: two files; or a file that has not the recipe, none, or several to choose from.
    """
    path, name = split_recipe(word)
    if path is None:
        return (None if code is None else run_file(code)), name
    found = run_file(path)
    if code is not None and run_file(code) != found:
        raise ValueError(f"Two files of your own are named, {path} and {code}: one can import the other.")
    recipes = recipes_of(found.module)
    if name:
        name = name.replace("_", "-")
        if name not in recipes:
            raise unknown_name("recipe", name, recipes, of=str(path))
        return found, name
    if len(recipes) > 1:
        raise ValueError(f"{path} has several recipes, {', '.join(recipes)}. Name one: {path}:{recipes[0]}")
    if not recipes:
        raise ValueError(
            f"{path} has no recipe: that is a function without arguments that returns an Experiment, under "
            f"@saccade.recipes.recipe. To use the file with a recipe of the package: RECIPE --code {path}"
        )
    return found, recipes[0]


def open_experiment(path: Path, code: Path | None) -> tuple[RunFolder, Experiment]:
    """The folder and the experiment of a run, whose own code, if it has any, has then been run.

    Args:
        path: the run's folder.
        code: the file that the user names for it; None: the one it was made with, if the user has named that before.

    Raises:
        FileNotFoundError: no run, or no such file.
        ValueError: a damaged file, or code that the user has to name.
    """
    folder = find_run(path)
    experiment = folder.read_config()
    if code is not None:
        if run_file(code).sha256 != experiment.code_sha256:
            print(f"Note: {code} is not the code that {path} was made with.", file=sys.stderr)
    elif experiment.code:
        run_recorded(experiment.code, experiment.code_sha256 or "", path)
    return folder, experiment
