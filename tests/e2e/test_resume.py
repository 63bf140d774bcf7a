"""A run killed at any moment and resumed ends with the weights of an undisturbed one, to the bit."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("kill_driver.py")
KILLED = -9
# dropout, mixing, an average of the weights and an optimiser with state: everything that could be forgotten
WORDS = [
    *("train", "digits-dta", "--epochs", "3", "--max-batches", "4", "--device", "cpu", "--resume"),
    *("--model", "fashion_net", "--width", "0.05", "--attention", "tcja", "--model-options", "output_neuron", "False"),
    *("--mix", "mixup", "--ema-decay", "0.9", "--optimizer", "adamw", "--lr", "0.01"),
]


def drive(folder, *plan):
    """Run command lines with kill points, one after the other; returns their exit codes."""
    jobs = json.dumps([([*WORDS, "--run-dir", name], point) for name, point in plan])
    done = subprocess.run(
        [sys.executable, DRIVER, jobs],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def rows(folder):
    """metrics.csv without the wall-clock time."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same_run(a, b):
    assert (a / "weights.safetensors").read_bytes() == (b / "weights.safetensors").read_bytes()
    assert rows(a) == rows(b)
    results = [json.loads((folder / "result.json").read_text()) for folder in (a, b)]
    for result in results:
        for name in ("seconds", "seconds_per_step", "seconds_per_step_by_epoch"):
            result.pop(name)
    assert results[0] == results[1]
    assert [path.name for path in b.glob(".*")] in ([], [".lock"])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_and_resumed_equals_undisturbed(tmp_path):
    moments = {
        "steps": [["batch", 2], ["batch", 6], ["batch", 2], ["batch", 8]],
        "writing": [["writing", 1], ["writing", 2], ["scoring", 3], ["writing", 1]],
        "end": [["renaming", 3], ["renaming", 6], ["result", 1], ["card", 1]],
        "anytime": [["after", 300], ["after", 700], ["after", 1100]],
    }
    plan = [("whole", None)]
    for name, points in moments.items():
        plan += [(name, point) for point in points] + [(name, None)]
    codes = drive(tmp_path, *plan)
    for (name, point), code in zip(plan, codes, strict=True):
        log = (tmp_path / f"{name}.log").read_text()
        # a kill after a while may come too late
        assert code == 0 if point is None else code == KILLED or point[0] == "after", (name, point, code, log)
    for name in moments:
        same_run(tmp_path / "whole", tmp_path / name)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="interrupts a forked process")
def test_ctrl_c_and_a_polite_kill_say_how_to_go_on(tmp_path):
    assert drive(tmp_path, ("run", ["SIGINT", 5]), ("run", ["SIGTERM", 5]), ("run", None)) == [130, 130, 0]
    said = (tmp_path / "run.log").read_text()
    assert said.count("Go on from the last whole epoch with: saccade train digits-dta --run-dir run --resume") == 2
    assert "Traceback" not in said
    assert "epoch 3/3" in said
