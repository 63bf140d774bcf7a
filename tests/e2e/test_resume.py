"""A run killed at any moment and resumed ends with the weights of an undisturbed one, to the bit."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from saccade.cli.signals import told_to_stop
from saccade.recipes import get_recipe

DRIVER = Path(__file__).with_name("kill_driver.py")
KILLED = -9
# dropout, mixing, an average of the weights and an optimiser with state: everything that could be forgotten
WORDS = [
    *("train", "digits-dta", "--epochs", "3", "--max-batches", "4", "--device", "cpu", "--resume"),
    *("--model", "fashion_net", "--width", "0.05", "--attention", "tcja", "--model-options", "output_neuron", "False"),
    *("--mix", "mixup", "--ema-decay", "0.9", "--optimizer", "adamw", "--lr", "0.01"),
]


def drive(folder, *plan):
    """Train in folders with kill points, one after the other; returns the exit codes."""
    return drive_all(folder, *(([*WORDS, "--run-dir", name], point) for name, point in plan))


def drive_all(folder, *jobs):
    """Run command lines with kill points, one after the other; returns their exit codes."""
    jobs = json.dumps(jobs)
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
def test_whatever_tells_a_run_to_stop_it_says_how_to_go_on(tmp_path):
    told = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
    plan = [("run", [name, 3]) for name in told] + [("run", ["scoring SIGTERM", 1]), ("run", None)]
    assert drive(tmp_path, *plan) == [*told.values(), 143, 0]
    said = (tmp_path / "run.log").read_text()
    assert said.count("Go on from the last whole epoch with: saccade train digits-dta --run-dir run --resume") == 4
    assert "Traceback" not in said
    assert "epoch 3/3" in said
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    jobs = [(["eval", "run"], [f"scoring {name}", 1]) for name in told]
    assert drive_all(tmp_path, *jobs) == list(told.values())
    assert (tmp_path / "eval.log").read_text() == "".join(f"Stopped by {name}.\n" for name in told)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == files


IMPORTED = """
import importlib.abc, os, signal, sys

class Tell(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{name})

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Tell())
from saccade.cli import main
sys.exit(main({words!r}))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize(("words", "module"), [(["train"], "tyro"), (["eval", "run"], "torch")])
def test_told_to_stop_while_libraries_are_imported(tmp_path, name, code, words, module):
    (tmp_path / "run").mkdir()
    experiment = asdict(get_recipe("digits-dta"))
    (tmp_path / "run" / "config.json").write_text(json.dumps(experiment))
    script = IMPORTED.format(module=module, name=name, words=words)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"Stopped by {name}.\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "config.json"]


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with told_to_stop() as told:
            os.kill(os.getpid(), signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
            assert (told.exit_code, str(told)) == (143, "Stopped by SIGTERM.")
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
