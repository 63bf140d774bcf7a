"""Several processes share a run: the weights of one process, and what happens when one of them dies."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rank_driver import CASES, EVENT_SETS, write_recordings
from safetensors.torch import load_file

from saccade.cli import main
from saccade.train.config import Experiment
from saccade.train.running.processes import find_world
from saccade.train.running.run_folder import RunFolder

DRIVER = Path(__file__).with_name("rank_driver.py")
#: of the event sets one; benchmarks/scale.py runs all
LEARNED = [case for case in CASES if case not in EVENT_SETS or case == "nmnist"]
#: Adam divides the gradients of biases before a batch norm, which are rounding, by their own size
TOLERANCE = {"vae-mmd": 1e-7, "vae-kld": 1e-7}
SMALL = [
    *("train", "digits-dta", "--model", "msresnet18", "--width", "0.06", "--steps", "2", "--attention", "tcja"),
    *("--epochs", "3", "--max-batches", "4", "--batch-size", "16", "--device", "cpu", "--precision", "float64"),
    *("--sync-batchnorm", "--mix", "mixup", "--ema-decay", "0.9", "--optimizer", "adamw", "--lr", "0.01"),
]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def drive(folder, place, port):
    with folder.with_name(f"{folder.name}{place.get('RANK', '')}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, DRIVER, folder, str(port), *LEARNED],
            env={**os.environ, "OMP_NUM_THREADS": "1", "SACCADE_DATA": str(folder.parent / "data"), **place},
            stdout=log,
            stderr=log,
        )


def rows(run):
    with RunFolder(run).metrics.open() as file:
        return list(csv.DictReader(file))


def difference(a, b):
    a, b = (load_file(RunFolder(run).weights) for run in (a, b))
    assert a.keys() == b.keys()
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every case, run by one process and by two: 20 steps each."""
    folder = tmp_path_factory.mktemp("processes")
    write_recordings(folder / "data")
    common = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    places = [{}, *({**common, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(2))]
    port = free_port()
    processes = [drive(folder / ("two" if place else "one"), place, port) for place in places]
    codes = [process.wait(timeout=600) for process in processes]
    assert codes == [0, 0, 0], [path.read_text()[-2000:] for path in folder.glob("*.log")]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", LEARNED)
def test_two_processes_learn_what_one_learns(runs, case):
    assert difference(runs / "one" / case, runs / "two" / case) < TOLERANCE.get(case, 1e-10)
    for one, two in zip(rows(runs / "one" / case), rows(runs / "two" / case), strict=True):
        assert float(two["train_loss"]) == pytest.approx(float(one["train_loss"]), rel=1e-9)
        if "test_loss" in one:  # a VAE's is drawn anew in its last batch, whose parts are not equal
            assert float(two["test_loss"]) == pytest.approx(float(one["test_loss"]), rel=1e-9)
            assert two["test_accuracy"] == one["test_accuracy"]
    assert rows(runs / "one" / case)[0]["train_loss"] != rows(runs / "one" / case)[-1]["train_loss"]


@pytest.mark.slow
def test_result_and_card_say_how_a_batch_was_shared(runs):
    for name, processes in (("one", 1), ("two", 2)):
        result = RunFolder(runs / name / "tet-in-parts").read_result()
        assert (result["processes"], result["nodes"], result["accumulate"], result["batch_size"]) == (
            processes,
            1,
            2,
            8,
        )
        assert result["batch_norm_sees"].startswith("4 samples")
        assert result["steps_per_epoch"] == 10
        assert "whole batch of 8" in result["learning_rate_is"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills processes")
def test_a_run_whose_process_is_killed_ends_and_goes_on(tmp_path):
    whole, killed, alone = (tmp_path / name for name in ("whole", "killed", "alone"))
    with (log := tmp_path / "log").open("wb") as out:
        words = [sys.executable, "-m", "saccade", *SMALL, "--devices", "2", "--run-dir", str(killed)]
        parent = subprocess.Popen(words, stdout=out, stderr=out)
    while len(rows(killed) if RunFolder(killed).metrics.is_file() else []) < 1:
        assert parent.poll() is None, log.read_text()
        time.sleep(0.05)
    children = [int(pid) for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()]
    os.kill(children[1], signal.SIGKILL)
    assert parent.wait(timeout=60) == 2
    assert "Process 1 of the run in" in log.read_text()
    assert "Traceback" not in log.read_text().partition("saccade: ")[2]
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    shutil.copytree(killed, alone)
    for run, devices in ((whole, "2"), (killed, "2"), (alone, "1")):
        assert main([*SMALL, "--devices", devices, "--run-dir", str(run), "--resume"]) == 0
    assert RunFolder(killed).weights.read_bytes() == RunFolder(whole).weights.read_bytes()
    assert difference(alone, whole) < 1e-7
    assert RunFolder(alone).read_result()["processes"] == 1


@pytest.mark.slow
def test_what_a_process_finds_wrong_is_told_once(tmp_path, capfd):
    words = [*SMALL, "--devices", "2", "--run-dir", str(tmp_path / "run"), "--batch-size", "15"]
    assert main(words) == 2
    said = capfd.readouterr().err
    assert said.count("cannot be shared out equally among 2 processes") == 1
    assert "Traceback" not in said


class TestPlace:
    """What launchers put into the environment."""

    EXPERIMENT = Experiment(recipe="", model="msresnet18", data="digits")

    @pytest.fixture(autouse=True)
    def no_launcher(self, monkeypatch):
        for name in list(os.environ):
            if name.startswith(("SLURM_", "RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "GROUP_RANK")):
                monkeypatch.delenv(name)

    def place(self, monkeypatch, experiment=EXPERIMENT, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        return find_world(experiment)

    def test_alone(self, monkeypatch):
        assert self.place(monkeypatch) is None

    def test_torchrun(self, monkeypatch):
        variables = {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4, "MASTER_ADDR": "a"}
        world = self.place(monkeypatch, **variables, MASTER_PORT=1, GROUP_RANK=1)
        assert (world.rank, world.processes, world.local_rank, world.nodes, world.devices) == (5, 8, 1, 2, 4)

    def test_srun(self, monkeypatch):
        variables = {"SLURM_NTASKS": 8, "SLURM_PROCID": 6, "SLURM_LOCALID": 2, "SLURM_NODEID": 1, "SLURM_NNODES": 2}
        world = self.place(
            monkeypatch, **variables, SLURM_STEP_NUM_TASKS=8, SLURM_STEP_NUM_NODES=2, SLURM_NTASKS_PER_NODE=4
        )
        assert (world.rank, world.processes, world.local_rank, world.nodes, world.devices) == (6, 8, 2, 2, 4)

    def test_srun_that_does_not_say_how_many_run_on_a_machine(self, monkeypatch):
        with pytest.raises(ValueError, match="--ntasks-per-node"):
            self.place(monkeypatch, SLURM_NTASKS=8, SLURM_PROCID=6, SLURM_STEP_NUM_TASKS=8)

    def test_a_batch_script_that_starts_nothing_is_a_plain_process(self, monkeypatch):
        assert self.place(monkeypatch, SLURM_NTASKS=8, SLURM_PROCID=0, SLURM_LOCALID=0, SLURM_NNODES=2) is None

    def test_a_number_that_the_launcher_contradicts(self, monkeypatch):
        asked = Experiment(recipe="", model="msresnet18", data="digits", devices=4)
        variables = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "a"}
        with pytest.raises(ValueError, match=r"devices=4 was asked for, but TorchElastic started 2 processes"):
            self.place(monkeypatch, asked, **variables)

    def test_machines_need_to_know_each_other(self, tmp_path, capsys):
        words = ["--devices", "1", "--nodes", "2", "--run-dir", str(tmp_path / "run")]
        assert main([*SMALL, *words]) == 2
        assert "nodes=2 needs MASTER_ADDR" in capsys.readouterr().err


def test_batch_norm_over_one_process_is_batch_norm():
    from saccade.nn.synchronised import synchronise_norms

    norm = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.BatchNorm1d(2))
    synchronise_norms(norm)
    x = torch.randn(4, 3, 2, 2)
    assert torch.equal(norm[0](x), torch.nn.BatchNorm2d(3)(x))
    with pytest.raises(ValueError, match=r"0 is a BatchNorm3d, which cannot see"):
        synchronise_norms(torch.nn.Sequential(torch.nn.BatchNorm3d(1)))
