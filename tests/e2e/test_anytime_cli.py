"""saccade eval --anytime on a run of a few batches."""

from __future__ import annotations

import json

import pytest

from saccade.cli import main


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("anytime") / "run"
    small = ["--width", "0.05", "--steps", "3", "--max-batches", "2", "--epochs", "1", "--attention", "none"]
    assert main(["train", "digits-dta", *small, "--run-dir", str(path)]) == 0
    return path


def test_the_curves_lie_in_the_run(run_dir, capsys):
    assert main(["eval", str(run_dir), "--anytime"]) == 0
    out = capsys.readouterr().out
    found = json.loads((run_dir / "probe" / "anytime.json").read_text())
    assert found["data"] == "digits"
    assert (found["steps"], len(found["accuracy_by_steps"]), len(found["exits"])) == (3, 3, 10)
    assert f"{found['accuracy_by_steps'][-1]:.2%} of {found['samples']} samples" in out  # as without --anytime
    assert "a sample that leaves early is not computed any further" in out
    assert (run_dir / "probe" / "anytime.png").read_bytes().startswith(b"\x89PNG")


def test_other_steps_and_thresholds(run_dir, capsys):
    assert main(["eval", str(run_dir), "--anytime", "--steps", "2", "--thresholds", "0.11", "0.2"]) == 0
    found = json.loads((run_dir / "probe" / "anytime.json").read_text())
    assert found["steps"] == 2
    assert [e["threshold"] for e in found["exits"]] == [0.11, 0.2]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--thresholds", "0.5"], "add --anytime"), (["--anytime", "--thresholds", "2"], "above 0 and up to 1, not 2")],
)
def test_bad_thresholds_get_a_sentence(run_dir, words, said, capsys):
    assert main(["eval", str(run_dir), *words]) == 2
    assert said in capsys.readouterr().err
