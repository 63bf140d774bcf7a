"""Who may use a run's folder, and the files written whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch

from saccade.atomic import remove_leftovers, replacing, write_text
from saccade.files import read_object, write_object
from saccade.recipes import get_recipe
from saccade.train.config import Experiment
from saccade.train.run import train
from saccade.train.running.checkpoint import MARK, CheckpointError, RunCheckpointIO, check_tie, read_checkpoint
from saccade.train.running.run_folder import RunFolder, default_run_dir, open_run

E = Experiment(recipe="r", model="m", data="d")


def test_a_new_folder_is_made_only_when_created(tmp_path):
    folder = open_run(tmp_path / "a" / "run", E, resume=False)
    assert not folder.path.exists()
    folder.create(E)
    assert folder.read_config() == E
    assert [path.name for path in folder.path.iterdir()] == ["config.json"]


def test_a_used_folder_needs_resume(tmp_path):
    open_run(tmp_path / "run", E, resume=False).create(E)
    with pytest.raises(ValueError, match="already exists; add --resume to go on with it, or choose another --run-dir"):
        open_run(tmp_path / "run", E, resume=False)
    assert open_run(tmp_path / "run", E, resume=True).read_config() == E


def test_an_empty_folder_and_one_with_other_files_can_be_started_in(tmp_path):
    open_run(tmp_path, E, resume=False)
    (tmp_path / "log.txt").write_text("")
    open_run(tmp_path, E, resume=True).create(E)
    assert (tmp_path / "log.txt").exists()


def test_another_experiment_is_refused_by_field(tmp_path):
    open_run(tmp_path / "run", E, resume=False).create(E)
    with pytest.raises(ValueError, match=r"differs in attention \('own' there, 'dta' now\), lr \(0.1 there, 3 now\)"):
        open_run(tmp_path / "run", replace(E, attention="dta", lr=3, epochs=99, workers=3), resume=True)
    changed = replace(E, epochs=99, workers=3, device="cpu", backend="reference", data_root="x")
    open_run(tmp_path / "run", changed, resume=True)


def test_a_checkpoint_without_config_and_a_file_in_the_way_are_refused(tmp_path):
    (tmp_path / "resume.ckpt").write_text("")
    with pytest.raises(ValueError, match="holds a checkpoint but no config"):
        open_run(tmp_path, E, resume=True)
    with pytest.raises(ValueError, match="is a file; the run needs a folder"):
        open_run(tmp_path / "resume.ckpt", E, resume=False)


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("sync_batchnorm", "no"), ("data_root", 4), ("lr", 1e30)])
def test_a_config_that_cannot_be_is_named_with_its_file(tmp_path, name, value):
    write_object(tmp_path / "config.json", {**asdict(E), name: value})
    with pytest.raises(ValueError, match=rf"^Cannot read .*config\.json: {name} must be "):
        RunFolder(tmp_path).read_config()


def test_default_folders_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = set()
    for _ in range(3):
        path = default_run_dir("r")
        path.mkdir(parents=True)
        names.add(path)
    assert len(names) == 3
    assert all(path.parts[:2] == ("runs", "r") for path in names)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path) as temporary:
        temporary.with_name("elsewhere").read_text()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_killed_writers_go_and_nothing_else(tmp_path):
    (tmp_path / ".resume.ckpt.123.part").write_text("half")
    (tmp_path / "keep.part").write_text("mine")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.part"]


def test_damaged_json_is_named(tmp_path):
    path = tmp_path / "config.json"
    write_object(path, {"a": 1})
    assert read_object(path) == json.loads(path.read_text()) == {"a": 1}
    for text in ("{", "[1]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config\.json"):
            read_object(path)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other"])
def test_damaged_checkpoints_are_one_sentence(tmp_path, damage):
    path = tmp_path / "resume.ckpt"
    keys = ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")
    RunCheckpointIO(E).save_checkpoint({key: {"x": torch.ones(1000)} for key in keys}, path)
    assert read_checkpoint(path)["loops"]["x"].sum() == 1000
    whole = path.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.ones(3)}, path)
    else:
        path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(ValueError, match=r"resume\.ckpt.*Delete it and run again with --resume") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "trapped"), "w"))

    torch.save({"state_dict": Trap()}, tmp_path / "resume.ckpt")
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(tmp_path / "resume.ckpt")
    assert not (tmp_path / "trapped").exists()


def checkpoint_of(experiment, path):
    keys = ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")
    RunCheckpointIO(experiment).save_checkpoint({key: {"x": torch.arange(50)} for key in keys}, path)
    return path


def test_every_flipped_bit_of_a_checkpoint_is_noticed(tmp_path):
    path = checkpoint_of(E, tmp_path / "resume.ckpt")
    whole = path.read_bytes()
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_checkpoint(path)
    path.write_bytes(whole[: -len(MARK) - 64])
    with pytest.raises(CheckpointError, match="its checksum is missing"):
        read_checkpoint(path)


def test_a_checkpoint_belongs_to_its_experiment_and_says_what_is_different(tmp_path, monkeypatch):
    checkpoint = read_checkpoint(checkpoint_of(E, tmp_path / "resume.ckpt"))
    assert check_tie(checkpoint, replace(E, epochs=99, workers=2), tmp_path) is None
    for other in (replace(E, seed=5), replace(E, lr=3.0)):
        with pytest.raises(CheckpointError, match="is of another experiment than the config"):
            check_tie(checkpoint, other, tmp_path)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    assert f"{threads} threads then, {threads + 1} now" in check_tie(checkpoint, E, tmp_path)


def test_the_checkpoint_before_the_last_is_kept(tmp_path):
    path = checkpoint_of(E, tmp_path / "resume.ckpt")
    first = path.read_bytes()
    checkpoint_of(replace(E, epochs=3, seed=1), path)
    assert (tmp_path / "resume.before.ckpt").read_bytes() == first
    assert path.read_bytes() != first
    assert len(list(tmp_path.iterdir())) == 2


HOLDS = """
import sys
from pathlib import Path
from saccade.train.running.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_one_process_at_a_time_and_free_when_that_is_killed(tmp_path):
    small = replace(get_recipe("digits-dta"), epochs=1, max_batches=1, width=0.05)
    words = [sys.executable, "-c", HOLDS, str(tmp_path / "run")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"Another process is at work in .*run\. Wait until it has ended, or"):
            train(small, tmp_path / "run", resume=True)
        other.kill()
    assert open_run(tmp_path / "run", E, resume=False).path == tmp_path / "run"  # nothing but the lock is there
    with RunFolder(tmp_path / "run").held():
        pass
