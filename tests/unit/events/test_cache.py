"""The frame cache: keyed by content, checked on reading, the same however often its making was killed."""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import time
from pathlib import Path

import event_files as files
import numpy as np
import pytest
from prepare_process import COUNTS_PER_FILE, SPEC, run

from saccade.data.events import (
    DamagedCacheError,
    FrameSpec,
    RecordingError,
    event_set,
    make_plan,
    open_store,
    prepare,
    read_events,
    to_frames,
)
from saccade.data.events import cache as cache_module

NMNIST = event_set("nmnist")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "COUNTS_PER_FILE", COUNTS_PER_FILE)
    files.nmnist_tree(tmp_path)
    return tmp_path


def made(root):
    return prepare(make_plan(NMNIST, root, SPEC))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_clips_are_the_frames_of_the_recordings(root):
    plan = make_plan(NMNIST, root, SPEC)
    store = prepare(plan)
    assert len(store) == 60
    assert store.share_used == 1
    assert store.shape == (5, 2, 34, 34)
    for row, recording in enumerate(plan.recordings):
        expected = to_frames(read_events(recording.path, (34, 34)), SPEC)
        assert (store.clip(row) == expected.frames).all()
    assert store.column("label") == [r.label for r in plan.recordings]
    assert store.column("part") == ["train"] * 40 + ["test"] * 20
    assert {part.dtype for part in store.parts} == {np.dtype(np.uint8)}
    assert all(isinstance(part, np.memmap) for part in store.parts)
    assert sorted(content(plan.folder)) == sorted(["index.json", *(f"clips-{n:05d}.npy" for n in range(20))])


def test_each_file_has_the_smallest_type_that_holds_its_counts(root):
    first = next((root / "NMNIST/Train/0").iterdir())
    first.write_bytes(files.atis([(t, 3, 4, 1) for t in range(5 * 256)]))
    store = made(root)
    assert [part.dtype.name for part in store.parts] == ["uint16"] + ["uint8"] * 19
    assert store.parts[0].max() == 256


def test_made_once_for_the_same_content_and_again_for_another(root):
    store = made(root)
    times = {p: p.stat().st_mtime_ns for p in store.folder.iterdir()}
    assert made(root).folder == store.folder
    assert {p: p.stat().st_mtime_ns for p in store.folder.iterdir()} == times
    keys = {store.folder.name}

    changed = root / "NMNIST/Train/3/00013.bin"
    changed.write_bytes(files.atis(files.some_events(200, (34, 34), 999)))  # as long as before
    keys.add(made(root).folder.name)
    for spec in (FrameSpec(6), FrameSpec(5, "time"), FrameSpec(5, size=(17, 17)), FrameSpec(5, "time", window_us=9)):
        keys.add(make_plan(NMNIST, root, spec).key)
    shutil.move(changed, changed.with_name("99999.bin"))
    keys.add(make_plan(NMNIST, root, SPEC).key)
    assert len(keys) == 7


def test_the_place_on_disk_and_the_layout_do_not_matter(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(root / "NMNIST", elsewhere / "NMNIST/extract")
    assert make_plan(NMNIST, elsewhere, SPEC).key == make_plan(NMNIST, root, SPEC).key


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "other type", "index", "index noise"])
def test_damage_is_found_on_reading_and_mended_by_preparing(root, damage):
    store = made(root)
    before = content(store.folder)
    clips, index = store.folder / "clips-00007.npy", store.folder / "index.json"
    if damage == "flip":
        changed = bytearray(clips.read_bytes())
        changed[-5] ^= 1
        clips.write_bytes(changed)
    elif damage == "cut":
        clips.write_bytes(clips.read_bytes()[:-1])
    elif damage == "delete":
        clips.unlink()
    elif damage == "other type":
        np.save(clips, np.load(clips).astype(np.int8))
    elif damage == "index":
        index.write_text(index.read_text().replace('"label": 3', '"label": 4', 1))
    else:
        index.write_bytes(b"\xff{")
    with pytest.raises(DamagedCacheError, match="index.json" if damage.startswith("index") else r"clips-00007\.npy"):
        open_store(store.folder)
    assert content(made(root).folder) == before


def test_a_damaged_recording_is_named_and_leaves_no_cache(root):
    bad = root / "NMNIST/Test/9/00060.bin"
    bad.write_bytes(bad.read_bytes()[:-1])
    plan = make_plan(NMNIST, root, SPEC)
    with pytest.raises(RecordingError, match=r"00060\.bin: it is truncated"):
        prepare(plan)
    with pytest.raises(FileNotFoundError):
        open_store(plan.folder)


def test_progress_is_told(root):
    calls = []
    prepare(make_plan(NMNIST, root, SPEC), lambda done, total: calls.append((done, total)))
    assert calls[0] == (3, 60)
    assert calls[-1] == (60, 60)


# --- killed, and two at once


def start(root: Path) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["saccade.data.events"])  # imported once, not by every process
    process = context.Process(target=run, args=(root,))
    process.start()
    return process


def wait_for_files(folder: Path, count: int, process: multiprocessing.process.BaseProcess) -> None:
    while process.is_alive():
        if folder.is_dir() and len(list(folder.iterdir())) >= count:
            return


def test_killed_at_any_point_and_run_again(root):
    """SIGKILL at a time drawn from the whole length of a run, twice in a row, six times over; then run to the end."""
    folder = make_plan(NMNIST, root, SPEC).folder
    undisturbed = content(made(root).folder)
    draw = random.Random(0)
    unfinished = 0
    for _ in range(6):
        shutil.rmtree(folder.parent)
        for _ in range(2):
            process = start(root)
            wait_for_files(folder, draw.randint(0, 42), process)
            time.sleep(draw.random() * 0.01)
            process.kill()
            process.join()
            unfinished += not (folder / "index.json").exists()
        assert content(made(root).folder) == undisturbed
    assert unfinished > 2


def test_what_a_killed_run_has_finished_is_not_made_again(root, monkeypatch):
    plan = make_plan(NMNIST, root, SPEC)
    write = cache_module._write_file

    def stop_at_the_tenth(plan, name, *rest):
        if name == "clips-00010.npy":
            raise KeyboardInterrupt
        return write(plan, name, *rest)

    monkeypatch.setattr(cache_module, "_write_file", stop_at_the_tenth)
    with pytest.raises(KeyboardInterrupt):
        prepare(plan)
    names = []
    monkeypatch.setattr(
        cache_module, "_write_file", lambda plan, name, *rest: names.append(name) or write(plan, name, *rest)
    )
    prepare(plan)
    assert names == [f"clips-{n:05d}.npy" for n in range(10, 20)]


def test_records_left_by_a_kill_after_the_index_are_swept_up(root):
    store = made(root)
    before = content(store.folder)
    entry = store.index["files"][0]
    (store.folder / "clips-00000.json").write_text(json.dumps({"file": entry, "rows": []}))
    (store.folder / ".clips-00003.npy.4711.part").write_bytes(b"half")
    assert content(made(root).folder) == before


def test_processes_at_once(root):
    folder = make_plan(NMNIST, root, SPEC).folder
    undisturbed = content(made(root).folder)
    shutil.rmtree(folder.parent)
    processes = [start(root) for _ in range(3)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert content(folder) == undisturbed


def test_the_second_goes_on_when_the_first_is_killed(root):
    folder = make_plan(NMNIST, root, SPEC).folder
    undisturbed = content(made(root).folder)
    shutil.rmtree(folder.parent)
    first, second = start(root), start(root)
    wait_for_files(folder, 4, first)
    first.kill()
    second.join()
    assert second.exitcode == 0
    assert content(folder) == undisturbed
