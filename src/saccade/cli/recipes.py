"""saccade recipes: which there are, and what one of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from saccade.cli.arguments import parse
from saccade.cli.own import own_recipe
from saccade.recipes import get_recipe, list_recipes, recipe_text
from saccade.report.table import format_table


@dataclass
class RecipesArguments:
    """What to show."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")] = ""
    """One recipe, to see its text and its fields, also FILE.py or FILE.py:NAME; without it, all are listed."""


def main(words: Sequence[str]) -> int:
    """List all recipes, or print one."""
    name = parse(RecipesArguments, words, "saccade recipes", text="List the recipes, or say what one of them is.").name
    _, name = own_recipe(name, None)
    if name:
        experiment = asdict(get_recipe(name))
        print(f"{recipe_text(name)}\n")
        print(format_table([(field, str(value)) for field, value in experiment.items()]))
    else:
        print(format_table([(known, recipe_text(known).splitlines()[0]) for known in list_recipes()]))
    return 0
