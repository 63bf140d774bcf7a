"""Files written whole or not at all: killed at every step of it, and on a disk that is full."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from saccade.atomic import remove_leftovers, replacing, write_text
from saccade.cli import disk_refused, is_users

KILLED = """
import os, signal, sys
from pathlib import Path
from saccade.atomic import write_text

calls, last = 0, int(sys.argv[2])

def counted(module, name):
    original = getattr(module, name)
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    setattr(module, name, call)

for module, name in ((Path, "open"), (Path, "write_text"), (Path, "replace"), (Path, "unlink"), (Path, "glob"),
                     (os, "fsync"), (os, "open"), (os, "close")):
    counted(module, name)
write_text(Path(sys.argv[1]), "new" * 1000)
print(calls)
"""


def test_killed_at_every_call_the_old_file_or_the_new_one_is_there(tmp_path):
    """Faults at every opening, write, sync and rename of a writer; then a writer that is not killed."""
    path = tmp_path / "file.txt"
    last, seen = 1, set()
    while True:
        write_text(path, "old")
        done = subprocess.run([sys.executable, "-c", KILLED, path, str(last)], capture_output=True, text=True)
        content = path.read_text()
        assert content in ("old", "new" * 1000)
        seen.add(content)
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == [path]
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        last += 1
    assert last > 6
    assert len(seen) == 2


@contextmanager
def full_disk(most: int = 30_000):
    """No file may become larger: for a writer the same as a disk that is full."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


X = torch.zeros(50_000)


def write_arrays(path):
    with path.open("wb") as file:
        np.savez(file, x=X.numpy())


WRITERS = {
    "text": lambda path: path.write_text("x" * 200_000),
    "torch": lambda path: torch.save(X, path),
    "safetensors": lambda path: save_file({"x": X}, path),
    "numpy": write_arrays,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_sentence_that_names_the_file(tmp_path, writer):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="File too large") as caught, full_disk(), replacing(path) as temporary:
        WRITERS[writer](temporary)
    assert caught.value.filename == str(path)
    assert is_users(caught.value)
    assert str(path) in disk_refused(caught.value)
    assert "Make room, and give the same command again" in disk_refused(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as temporary:
        WRITERS[writer](temporary)
    assert path.stat().st_size > 100_000


def test_what_is_not_the_disks_fault_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), replacing(tmp_path / "file"):
        raise RuntimeError("mine")
    with pytest.raises(FileNotFoundError, match="elsewhere"), replacing(tmp_path / "file"):
        (tmp_path / "elsewhere").read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such rights")
def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch, tmp_path):
    def refuse(self, *arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(PermissionError) as caught:
        write_text(tmp_path / "file", "x")
    assert caught.value.filename == str(tmp_path / "file")
