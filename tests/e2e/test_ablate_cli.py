"""saccade ablate: a grid killed at random moments ends with the table of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from saccade.cli import main
from saccade.cli.ablate import parse_ablate

WORDS = [
    *("ablate", "digits-dta", "--vary", "attention=none,tcja", "--seeds", "1", "--epochs", "2", "--max-batches", "2"),
    *("--model", "fashion_net", "--width", "0.05", "--model-options", "output_neuron", "False"),
]


def start(out, *more):
    """The command as a process with a group of its own; what it says goes to OUT.log."""
    with out.with_name(f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "saccade", *WORDS, "--out", str(out), *more],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def said_by(out):
    return out.with_name(f"{out.name}.log").read_text()


def table(out):
    rows = json.loads((out / "table.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a group of processes")
def test_killed_at_random_moments_and_started_again(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = start(whole)
    seed = random.randrange(10**6)
    print(f"moments drawn from seed {seed}")
    draw = random.Random(seed)
    for victim in ("parent", "all"):  # the parent alone: its worker lives on, and holds its run
        process = start(killed)
        time.sleep(draw.uniform(3, 15))
        (os.killpg if victim == "all" else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    assert start(killed).wait(timeout=300) == 0, said_by(killed)
    assert undisturbed.wait(timeout=300) == 0, said_by(whole)
    assert table(killed) == table(whole)
    assert len(table(whole)) == 2


@pytest.mark.slow
def test_a_polite_kill_stops_the_runs_and_says_how_to_go_on(tmp_path):
    process = start(tmp_path / "out")
    while "started" not in said_by(tmp_path / "out") and process.poll() is None:
        time.sleep(0.1)
    process.terminate()
    assert process.wait(timeout=60) == 130, said_by(tmp_path / "out")
    assert "Go on with the same command: saccade ablate digits-dta" in said_by(tmp_path / "out")
    assert "Traceback" not in said_by(tmp_path / "out")


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path, capsys):
    vary = ["--vary", "model_options.dropout=0.1,7"]
    assert main([*WORDS, *vary, "--seeds", "1", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert said.count("FAILED: ") == 1
    assert "dropout" in said
    assert len(table(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vary", "attention=none,dtaa"], "Did you mean 'dta'"),
        (["--vary", "attentoin=none"], "Did you mean 'attention'"),
        (["--vary", "steps=0,1"], "steps must be a whole number, 1 or more, not 0"),
        (["--vary", "attention=none", "--jobs", "0"], "jobs must be a whole number"),
        ([], "add --vary"),
    ],
)
def test_mistakes_are_told_before_anything_runs(words, said, tmp_path, capsys):
    assert main(["ablate", "digits-dta", *words, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_options_of_the_recipes_attention_do_not_go_to_another():
    words = ["mnist-fsvae-tcja", "--vary", "steps=2,4"]
    assert parse_ablate(words).attention_options == {"kernel_time": 4, "kernel_channel": 4}
    assert parse_ablate([*words, "--attention", "cla"]).attention_options == {}
