"""saccade ablate: a grid killed at random moments ends with the table of an undisturbed one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_in import stand_in

from saccade.ablate import engine
from saccade.ablate.cell import run_cell
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
            env={**os.environ, "OMP_NUM_THREADS": "1", "SACCADE_TEST": str(os.getpid()), "RAY_worker_niceness": "0"},
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
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="kills processes that it looks up in /proc")
def test_killed_workers_and_a_killed_driver_change_nothing(tmp_path):
    """The whole grid again and again, until nothing is left to do; then the table is that of an undisturbed one."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert [main([*WORDS, "--out", str(whole), "--cell", str(number)]) for number in range(2)] == [0, 0]
    process = start(killed)
    wait_for(lambda: [path for path in (killed / "runs").glob("*/metrics.csv") if path.stat().st_size], process)
    for worker in ray_workers():  # their runs go on in others
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: list((killed / "records").glob("*.json")), process)
    process.kill()
    process.wait()
    wait_for(lambda: not ray_workers())  # nobody is left behind
    before = {path: path.stat().st_mtime_ns for path in (killed / "records").glob("*.json")}
    assert start(killed).wait(timeout=600) == 0, said_by(killed)
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())  # not done twice
    assert main([*WORDS, "--out", str(whole)]) == 0
    assert table(killed) == table(whole)
    assert len(table(whole)) == 2
    assert not ray_workers()


def ray_workers():
    """Processes of Ray that belong to this test, which know its mark, and do work; not the agents of its raylet."""
    mark = f"SACCADE_TEST={os.getpid()}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (entry / "cmdline").read_bytes().rstrip(b"\0 ")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            works = name.startswith(b"ray::") and not name.endswith(b"Agent")
            if works and state != "Z" and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def wait_for(condition, process=None, seconds=600):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        assert process is None or process.poll() is None, "the grid has ended"
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_a_polite_kill_stops_the_runs_and_says_how_to_go_on(tmp_path):
    process = start(tmp_path / "out")
    wait_for(lambda: list((tmp_path / "out" / "runs").glob("*.log")), process)
    process.terminate()
    assert process.wait(timeout=120) == 143, said_by(tmp_path / "out")
    assert "Go on with the same command: saccade ablate digits-dta" in said_by(tmp_path / "out")
    assert "Traceback" not in said_by(tmp_path / "out")


@pytest.mark.slow
def test_a_recipe_that_generates(tmp_path, capsys, monkeypatch):
    """One run of a VAE in this process, and the table."""
    monkeypatch.setattr("saccade.train.build.load_data", stand_in)
    words = ["mnist-fsvae", "--vary", "attention=none", "--seeds", "1", "--epochs", "1", "--max-batches", "2"]
    small = ["--width", "0.1", "--steps", "3", "--batch-size", "2", "--device", "cpu", "--out", str(tmp_path / "out")]
    small += ["--image-size", "32", "--model-options", "latent", "8", "k", "4"]
    assert main(["ablate", *words, *small, "--cell", "0"]) == 0
    assert main(["ablate", *words, *small]) == 0  # nothing is left to do: no Ray is started
    said = capsys.readouterr().out
    assert "reconstruction error" in said
    assert "last epoch, error" in said


def test_without_ray_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*WORDS, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "pip install 'saccade[grid]'" in said
    assert len(said.strip().splitlines()) == 1


class NoRay:
    """Ray on a machine whose cores others use."""

    def __init__(self, failures):
        self.failures, self.started = failures, 0

    def init(self, **options):
        self.started += 1
        if self.started <= self.failures:
            raise Exception("The current node timed out during startup.\nMore.")


def test_ray_is_started_again_where_its_start_took_too_long():
    slow = NoRay(2)
    engine.start_ray(slow, {})
    assert slow.started == 3
    with pytest.raises(
        ValueError, match=r"could not be started on this machine \(The current node timed out[^M]*--cell N"
    ):
        engine.start_ray(NoRay(3), {})


class AuthenticationError(Exception):
    """What Ray's own is called."""


def test_a_cluster_that_asks_for_a_token_is_named():
    class Guarded:
        def init(self, **options):
            raise AuthenticationError("InvalidAuthToken")

    with pytest.raises(ValueError, match=r"cluster at auto asks for its token\. Bring .* set RAY_AUTH_MODE=token"):
        engine.start_ray(Guarded(), {"address": "auto"})


def test_neither_the_package_nor_training_loads_ray():
    code = "import sys, saccade, saccade.train.run, saccade.cli.train; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path, capsys):
    vary = ["--vary", "model_options.dropout=0.1,7"]
    words = [*WORDS, *vary, "--seeds", "1", "--out", str(tmp_path / "out")]
    assert [main([*words, "--cell", str(number)]) for number in (0, 1)] == [0, 1]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert said.count("FAILED: ") == 1
    assert "dropout" in said
    assert len(table(tmp_path / "out")) == 1


@pytest.mark.slow
def test_a_grid_whose_runs_all_failed_claims_no_tables(tmp_path, capsys, monkeypatch):
    def one_by_one(cells, folder, place, work, tick):
        folder.prepare(cells)
        return [cell for cell in cells if not run_cell(folder, cell.name, work)]

    monkeypatch.setattr("saccade.ablate.run_grid", one_by_one)  # without Ray, which would take longer than the runs
    assert main([*WORDS, "--vary", "model_options.dropout=7", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "No run has finished" in said
    assert "table.md" not in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["records", "runs"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vary", "attention=none,dtaa"], "Did you mean 'dta'"),
        (["--vary", "attentoin=none"], "Did you mean 'attention'"),
        (["--vary", "steps=0,1"], "steps must be a whole number, 1 or more, not 0"),
        (["--vary", "attention=none", "--jobs", "0"], "jobs must be a whole number"),
        (["--vary", "attention=none", "--stop-early"], "--validation 0.1"),
        (["--vary", "steps=2", "--search", "lr=uniform(0,1)"], "use one of the two"),
        (["--search", "lr=uniform(0,1)"], "--validation 0.1"),
        (["--vary", "attention=none", "--cell", "3"], "has the runs 0 to 2, not 3"),
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
