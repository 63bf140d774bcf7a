"""Experiments by name. A recipe is a function that returns an `Experiment`; a variant edits another one.

Every docstring says where the recipe comes from, what score to expect and who measured it, on what machine and for how
long it runs, and where it departs from its source. Imports no torch, so that the command line answers at once.
"""

# Importing a file registers its recipes.
from saccade.recipes import cifar, digits, events, fashion, generation, imagenet, mnist  # noqa: F401
from saccade.recipes.registry import get_recipe, list_recipes, recipe, recipe_text, recipes_of
from saccade.train.config import Experiment

__all__ = ["Experiment", "get_recipe", "list_recipes", "recipe", "recipe_text", "recipes_of"]
