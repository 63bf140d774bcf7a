"""Runs that saccade 0.1.0 made can still be scored, looked into and resumed.

tests/runs_of_0_1_0 holds two: one that finished two epochs, and the same one killed in the second.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from saccade.cli import main

RUNS = Path(__file__).parents[1] / "runs_of_0_1_0"


@pytest.fixture
def run(tmp_path):
    """A copy of one of them."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(RUNS / name, tmp_path / name))

    return copy


def test_a_finished_run_is_scored_and_looked_into(run, capsys):
    finished = run("finished")
    assert main(["eval", str(finished)]) == 0
    assert "of 355 samples" in capsys.readouterr().out
    assert main(["gates", str(finished), "--samples", "4"]) == 0
    assert main(["train", "--run-dir", str(finished), "--resume"]) == 0
    assert "finished already" in capsys.readouterr().out
    assert main(["report", str(finished)]) == 0


def test_a_killed_run_is_resumed_to_the_same_weights(run):
    stopped = run("stopped")
    assert main(["train", "--run-dir", str(stopped), "--resume", "--device", "cpu"]) == 0
    resumed, undisturbed = (load_file(folder / "weights.safetensors") for folder in (stopped, RUNS / "finished"))
    assert resumed.keys() == undisturbed.keys()
    for name, tensor in undisturbed.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    assert "extended" not in json.loads((stopped / "result.json").read_text())


def test_a_killed_run_is_given_more_epochs(run):
    stopped = run("stopped")
    assert main(["train", "--run-dir", str(stopped), "--resume", "--device", "cpu", "--epochs", "3"]) == 0
    assert json.loads((stopped / "result.json").read_text())["extended"].startswith("planned for 2 epochs, and for 3")
