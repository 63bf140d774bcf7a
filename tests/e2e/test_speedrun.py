"""saccade speedrun: several runs against the clock, on a stand-in."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from stand_in import stand_in

from saccade.cli import main
from saccade.data import CATALOG
from saccade.train.speedrun import spread

NOTE = "a note on the data"
WORDS = ["speedrun", "cifar10", "--data", "cifar10-jpeg", "--width", "0.06", "--batch-size", "2", "--max-batches", "2"]


def noted(request):
    splits = stand_in(request)
    return replace(splits, info=replace(splits.info, note=NOTE))


@pytest.fixture(autouse=True)
def _data(monkeypatch):
    monkeypatch.setitem(CATALOG, "cifar10-jpeg", replace(CATALOG["cifar10-jpeg"], load=noted))


def speedrun(*more):
    return main([*WORDS, *map(str, more)])


def test_reports_every_run_with_mean_and_spread(tmp_path, capsys):
    # on four random images an accuracy is a multiple of a quarter: the smallest target is reached by any hit
    folder = tmp_path / "runs"
    assert speedrun("--runs", 2, "--epochs", 2, "--target", 0.999, "--seed", 5, "--run-dir", folder) == 0
    out, err = capsys.readouterr()
    assert err == ""
    result = json.loads((folder / "speedrun.json").read_text())
    assert [run["seed"] for run in result["runs"]] == [5, 6]
    assert result["data_note"] == NOTE
    assert out.count(NOTE) >= 3  # in each run's line and in the table
    assert result["final_accuracy"]["n"] == 2
    assert result["warm_up_seconds"] > 0
    assert result["lif_backends_that_ran"]
    for run in result["runs"]:
        assert len(run["test_accuracy_by_epoch"]) == 2
        assert run["final_accuracy"] == run["test_accuracy_by_epoch"][-1]
        assert 0 < run["seconds_of_training"] <= run["seconds_with_scoring"]
        reached = [a >= 0.999 for a in run["test_accuracy_by_epoch"]]
        assert run["epochs_to_target"] == (reached.index(True) + 1 if any(reached) else None)
    assert "without first-run costs" in out


def test_finished_runs_are_not_run_again(tmp_path, capsys):
    folder = tmp_path / "runs"
    assert speedrun("--runs", 1, "--epochs", 1, "--target", 0.5, "--run-dir", folder) == 0
    first = json.loads((folder / "speedrun.json").read_text())
    assert speedrun("--runs", 2, "--epochs", 1, "--target", 0.5, "--run-dir", folder) == 0
    second = json.loads((folder / "speedrun.json").read_text())
    assert second["runs"][0] == first["runs"][0]
    assert len(second["runs"]) == 2
    assert first["warm_up_seconds"] > 0
    assert second["warm_up_seconds"] is None
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--target", "92"], "0.92 is 92 %"),
        (["--runs", "0"], "runs must be 1 or more"),
    ],
)
def test_mistakes(words, sentence, tmp_path, capsys):
    assert speedrun(*words, "--run-dir", tmp_path / "r") == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_an_unknown_speedrun(capsys):
    assert main(["speedrun", "cifar11"]) == 2
    assert "Did you mean 'cifar10'" in capsys.readouterr().err


def test_spread():
    assert spread([1.0, 2.0, 3.0]) == {"n": 3, "mean": 2.0, "sd": 1.0, "min": 1.0, "max": 3.0}
    assert spread([1.0])["sd"] is None
    assert spread([1.0, None]) is None
