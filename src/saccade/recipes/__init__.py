"""Experiments by name. A recipe is a function that returns an `Experiment`; a variant edits another one.

Every docstring says where the recipe comes from, what score was measured by us and on what machine, how long it runs,
and where it departs from its source. Beside it stand, as fields, the score that the paper reports and the figures of
the network on the published data. Every file here is imported, and none imports torch, so that the command line answers
at once.
"""

from saccade.plugins import import_files
from saccade.recipes.registry import (
    ACCURACY,
    RECONSTRUCTION,
    Figures,
    Reported,
    get_recipe,
    list_recipes,
    papers_score,
    recipe,
    recipe_entry,
    recipe_text,
    recipes_of,
)
from saccade.train.config import Experiment

__all__ = [
    "ACCURACY",
    "RECONSTRUCTION",
    "Experiment",
    "Figures",
    "Reported",
    "get_recipe",
    "list_recipes",
    "papers_score",
    "recipe",
    "recipe_entry",
    "recipe_text",
    "recipes_of",
]

import_files(__name__)
