"""The recipes by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from saccade.errors import unknown_name
from saccade.plugins import load_installed
from saccade.train.config import Experiment

RecipeFunction = Callable[[], Experiment]

_REGISTRY: dict[str, RecipeFunction] = {}


def recipe(function: RecipeFunction) -> RecipeFunction:
    """Decorator: register a function without arguments, named like the recipe with underscores for hyphens."""
    name = function.__name__.replace("_", "-")
    if name in _REGISTRY:
        raise ValueError(f"A recipe named {name!r} is already registered.")
    _REGISTRY[name] = function
    return function


def list_recipes() -> list[str]:
    """The names that `get_recipe` takes."""
    load_installed()
    return list(_REGISTRY)


def recipes_of(module: str) -> list[str]:
    """The names that one module has registered."""
    return [name for name, function in _REGISTRY.items() if function.__module__ == module]


def get_recipe(name: str) -> Experiment:
    """The experiment of a recipe, a new record at every call; ValueError with the nearest names if there is none."""
    return _function(name)()


def recipe_text(name: str) -> str:
    """What a recipe's docstring says: source, expected score, machine, cost, deviations."""
    return inspect.cleandoc(_function(name).__doc__ or "")


def _function(name: str) -> RecipeFunction:
    if name not in list_recipes():
        raise unknown_name("recipe", name, _REGISTRY)
    return _REGISTRY[name]
