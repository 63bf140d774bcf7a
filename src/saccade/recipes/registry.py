"""The recipes by name, with what is known about them: the network they build and the score their paper reports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, overload

from saccade.errors import unknown_name
from saccade.plugins import load_installed
from saccade.train.config import FREE_ON_RESUME, Experiment, differences

RecipeFunction = Callable[[], Experiment]

UNCHECKED = "as quoted, not checked by us"
ACCURACY = "test accuracy, %"
"""What the score of a network that classifies is."""
RECONSTRUCTION = "test reconstruction loss"
"""What the score of a network that generates is."""
#: settings of the machine and of chance, in which a run of a recipe may differ and still be that recipe
INCIDENTAL = (*FREE_ON_RESUME, "device", "precision", "seed", "recipe")


@dataclass(frozen=True)
class Reported:
    """The score that a paper reports for an experiment."""

    value: float
    #: what the number is, with its unit
    metric: str
    #: who reports it, and where it was read
    source: str
    #: how the paper chose among its epochs
    chosen: str = "maximum over epochs on the test set"
    #: whether anyone here could check the number against the paper
    checked: str = UNCHECKED

    def __str__(self) -> str:
        return f"{self.value:g} ({self.metric}; {self.chosen}; {self.checked})"


@dataclass(frozen=True)
class Figures:
    """What a recipe's network must come to on its data set as published."""

    #: weights of the network, gates included
    parameters: int
    #: (C, H, W) of what the first convolution sees
    sees: tuple[int, int, int]
    #: 10^9 multiplications of convolutions and linear layers in a forward pass of one sample, all T steps, each counted
    gmacs: float
    #: samples of the training part; None: as many as the user's folder holds
    samples: int | None = None


@dataclass(frozen=True)
class RecipeEntry:
    """A registered recipe."""

    function: RecipeFunction
    figures: Figures | None
    reported: Reported | None


_REGISTRY: dict[str, RecipeEntry] = {}


@overload
def recipe(function: RecipeFunction) -> RecipeFunction: ...
@overload
def recipe(
    *, figures: Figures | None = None, reported: Reported | None = None
) -> Callable[[RecipeFunction], RecipeFunction]: ...
def recipe(
    function: RecipeFunction | None = None, *, figures: Figures | None = None, reported: Reported | None = None
) -> Any:
    """Decorator: register a function without arguments, named like the recipe with underscores for hyphens.

    `@recipe` alone will do. A variant made by editing another recipe inherits neither figures nor score: both belong to
    one experiment.
    """

    def register(function: RecipeFunction) -> RecipeFunction:
        name = function.__name__.replace("_", "-")
        if name in _REGISTRY:
            raise ValueError(f"A recipe named {name!r} is already registered.")
        _REGISTRY[name] = RecipeEntry(function, figures, reported)
        return function

    return register if function is None else register(function)


def list_recipes() -> list[str]:
    """The names that `get_recipe` takes."""
    load_installed()
    return list(_REGISTRY)


def recipes_of(module: str) -> list[str]:
    """The names that one module has registered."""
    return [name for name, entry in _REGISTRY.items() if entry.function.__module__ == module]


def get_recipe(name: str) -> Experiment:
    """The experiment of a recipe, a new record at every call; ValueError with the nearest names if there is none."""
    return recipe_entry(name).function()


def recipe_text(name: str) -> str:
    """What a recipe's docstring says: source, machine, cost, deviations."""
    return inspect.cleandoc(recipe_entry(name).function.__doc__ or "No description.")


def recipe_entry(name: str) -> RecipeEntry:
    """All that is registered under a name; ValueError with the nearest names if there is none."""
    if name not in list_recipes():
        raise unknown_name("recipe", name, _REGISTRY)
    return _REGISTRY[name]


def papers_score(experiment: Experiment) -> dict[str, Any] | None:
    """The paper's score for an experiment's recipe as JSON, with the settings that the experiment has changed.

    None: no paper reports one, or the recipe is not registered here.
    """
    entry = _REGISTRY.get(experiment.recipe)
    if entry is None or entry.reported is None:
        return None
    changed = [name for name in differences(entry.function(), experiment) if name not in INCIDENTAL]
    return {**asdict(entry.reported), "recipe_changed_in": changed}
