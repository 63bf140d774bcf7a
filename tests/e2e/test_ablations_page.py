"""docs/ablations.md: every row parses, builds and changes what it says; and takes two steps."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stand_in import BATCH, small, stand_in

from saccade.ablate import Grid, parse_vary
from saccade.cli.ablate import parse_ablate
from saccade.cli.train import parse_train
from saccade.data import CATALOG, DataRequest
from saccade.models.network import chosen_places
from saccade.nn.attention import Attention, NoAttention
from saccade.recipes import get_recipe
from saccade.train.build import build_model, check_names
from saccade.train.check import check_experiment
from saccade.train.config import Experiment, differences
from saccade.train.run import train

PAGE = (Path(__file__).parents[2] / "docs" / "ablations.md").read_text()


def rows() -> list[tuple[str, str, bool]]:
    """(recipe, words, whether the recipe is the first of its table), for every row and every recipe of its table."""
    found: list[tuple[str, str, bool]] = []
    for names, table in re.findall(r"^Recipes: ((?:.+\n)+)\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        recipes = re.findall(r"`([\w-]+)`", names)
        for line in table.splitlines()[2:]:
            words = line.rstrip("| ").rpartition("|")[2].strip(" `")
            words = words if words.startswith("--") else ""
            found += [(recipe, words, recipe == recipes[0]) for recipe in recipes]
    return found


ROWS = rows()
GRIDS = re.findall(r"^saccade ablate (.+)$", PAGE, re.MULTILINE)


def parsed(recipe: str, words: str) -> Experiment:
    return parse_train([recipe, *shlex.split(words)]).experiment()


def test_the_page_is_read():
    assert len(ROWS) > 150
    assert len(GRIDS) > 10
    assert len({words for _, words, _ in ROWS}) == len(set(re.findall(r"\| `(--.+)` \|$", PAGE, re.MULTILINE))) + 1


@pytest.mark.parametrize(("recipe", "words"), [row[:2] for row in ROWS])
def test_a_row_parses_and_builds(recipe, words):
    experiment = parsed(recipe, words)
    changed = differences(get_recipe(recipe), experiment)
    given = {word[2:].replace("-", "_") for word in words.split() if word.startswith("--")}
    assert set(changed) <= given  # nothing else changes; a row may repeat what the recipe has
    check_experiment(experiment)
    check_names(experiment)
    info = stand_in(DataRequest(experiment.data, steps=experiment.steps, size=experiment.image_size and 32)).info
    with torch.device("meta"):
        model = build_model(small(experiment), info)
    gates = [gate for gate in model.attention_modules().values() if not isinstance(gate, NoAttention)]
    assert bool(gates) == (experiment.attention != "none")
    for gate in gates:
        assert {name: option(gate, name) for name in experiment.attention_options} == experiment.attention_options
        placement = experiment.placement
        assert gate.placement == (gate.published_placement if placement == "published" else placement)
    if "attention_at" in experiment.model_options:
        at = experiment.model_options["attention_at"]
        assert [name for name, gate in model.attention_modules().items() if gate in gates] == chosen_places(
            at, list(model.gate_places())
        )


def option(gate: Attention, name: str) -> object:
    """What a gate was built with, read off its layers."""
    if name in ("kernel_time", "kernel_channel"):
        return getattr(getattr(gate, "txa", gate), name.replace("kernel", "conv")).weight.shape[-1]
    if name == "fusion":
        return gate.fusion
    if name == "causal":
        return gate.looks_at_steps == "past"
    if name == "halves":
        has = [hasattr(gate, half) for half in ("conv_channel", "conv_time")]
        return {(True, True): "both", (True, False): "temporal", (False, True): "channel"}[tuple(has)]
    tna = getattr(gate, "tna", gate)
    if name == "branches":
        return {(True, True): "both", (True, False): "local", (False, True): "global"}[
            tna.local is not None, tna.pool is not None
        ]
    dilated = tna.local[1]
    if name == "kernel_size":  # 7 -> width 1, 21 -> width 7, with dilation 3
        return {1: 7, 7: 21}[dilated.weight.shape[-1]]
    return dilated.dilation[0]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "words"), [row[:2] for row in ROWS if row[2]])
def test_a_row_takes_two_steps(recipe, words, tmp_path, monkeypatch):
    experiment = parsed(recipe, words)
    monkeypatch.setitem(CATALOG, experiment.data, replace(CATALOG[experiment.data], load=stand_in))
    assert train(small(experiment), tmp_path / "run")["test_samples"] == 2 * BATCH


@pytest.mark.parametrize("words", GRIDS)
def test_a_table_parses(words):
    arguments = parse_ablate(shlex.split(words))
    seeds = arguments.seeds or 3
    cells = Grid(arguments.experiment(), parse_vary(arguments.vary), seeds).cells(lambda e: e)
    assert len(cells) >= 2 * seeds
    for cell in cells:
        check_experiment(cell.experiment)
        check_names(cell.experiment)
