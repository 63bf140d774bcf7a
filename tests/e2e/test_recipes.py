"""Every recipe builds its network and takes two steps, on random samples in the shape of its data set."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stand_in import BATCH, small, stand_in

from saccade.data import CATALOG
from saccade.recipes import get_recipe, list_recipes, papers_score, recipe, recipe_text
from saccade.tables import result_table
from saccade.train.check import check_experiment
from saccade.train.run import train


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_takes_two_steps(name, tmp_path, monkeypatch):
    experiment = get_recipe(name)
    monkeypatch.setitem(CATALOG, experiment.data, replace(CATALOG[experiment.data], load=stand_in))
    paper = papers_score(small(experiment))
    result = train(small(experiment), tmp_path / "run", paper=paper)
    assert result["recipe"] == name
    assert result["paper"] == paper
    assert ("as quoted, not checked by us" in result_table(result)) == (paper is not None)
    assert result["test_samples"] == 2 * BATCH
    assert (tmp_path / "run" / "weights.safetensors").is_file()


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_is_complete(name):
    experiment = get_recipe(name)
    check_experiment(experiment)
    assert experiment.recipe == name
    assert get_recipe(name) == experiment
    assert get_recipe(name) is not experiment
    text = recipe_text(name)
    assert len(text.splitlines()) >= 3
    assert "Expected" in text


def test_names_are_taken_once():
    def digits_dta():
        raise AssertionError

    with pytest.raises(ValueError, match="already registered"):
        recipe(digits_dta)
