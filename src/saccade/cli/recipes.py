"""saccade recipes: which there are, and what one of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from saccade.cli.arguments import parse
from saccade.cli.own import own_recipe
from saccade.recipes import get_recipe, list_recipes, recipe_entry, recipe_text
from saccade.recipes.registry import UNCHECKED
from saccade.tables import fold, format_table


@dataclass
class RecipesArguments:
    """What to show."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")] = ""
    """One recipe, to see its text and its fields, also FILE.py or FILE.py:NAME; without it, all are listed."""


def main(words: Sequence[str]) -> int:
    """List all recipes, or print one."""
    name = parse(RecipesArguments, words, "saccade recipes", text="List the recipes, or say what one of them is.").name
    _, name = own_recipe(name, None)
    print(fold(_one(name) if name else _all()))
    return 0


def _all() -> str:
    rows = []
    for name in list_recipes():
        reported = recipe_entry(name).reported
        rows.append((name, f"{reported.value:g}" if reported else "", recipe_text(name).splitlines()[0]))
    note = (
        f"paper: the score that the paper reports, {UNCHECKED}; our own scores are after the last epoch. "
        "More about one: saccade recipes NAME"
    )
    return f"{format_table(rows, ('recipe', 'paper', ''))}\n\n{note}"


def _one(name: str) -> str:
    entry = recipe_entry(name)
    facts = []
    if entry.reported is not None:
        facts += [("the paper's score", str(entry.reported)), ("read in", entry.reported.source)]
    if entry.figures is not None:
        f = entry.figures
        sees = " x ".join(map(str, f.sees))
        facts += [("parameters", f"{f.parameters:,}"), ("network sees", sees), ("GMAC forward", f"{f.gmacs:g}")]
    fields = [(field, str(value)) for field, value in asdict(get_recipe(name)).items()]
    return f"{recipe_text(name)}\n\n{format_table([*facts, *fields])}"
