"""The sets: found in every layout, split as published, with the same names everywhere."""

from __future__ import annotations

import math
import random
import shutil
import warnings

import event_files as files
import numpy as np
import pytest

from saccade.data.events import EVENT_SETS, RecordingError, event_set
from saccade.data.events.sets.gesture import read_labels
from saccade.data.events.splits import first_share, names_hash, read_split, split_names

FOLDERS = {
    "nmnist": "NMNIST",
    "cifar10-dvs": "CIFAR10DVS",
    "dvs128-gesture": "DVS128Gesture",
    "n-caltech101": "NCaltech101",
}


@pytest.mark.parametrize("name", files.TREES)
def test_nothing_there_says_which_files_go_where(name, tmp_path):
    chosen = event_set(name)
    for empty in (False, True):
        if empty:
            (tmp_path / chosen.folder).mkdir()
        with pytest.raises(FileNotFoundError) as refusal:
            chosen.recordings(tmp_path)
        for archive in chosen.archives:
            assert f"{archive.name}  MD5 {archive.md5}" in str(refusal.value)
        assert str(tmp_path / chosen.folder) in str(refusal.value)


@pytest.mark.parametrize("name", files.TREES)
def test_hashes_of_the_archives_are_those_that_spikingjelly_knows(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip(
            "spikingjelly.datasets", reason="needs SpikingJelly: pip install saccade[events]"
        )
    theirs = {
        "nmnist": "NMNIST",
        "cifar10-dvs": "CIFAR10DVS",
        "dvs128-gesture": "DVS128Gesture",
        "n-caltech101": "NCaltech101",
    }
    known = {file: md5 for file, _, md5 in getattr(datasets, theirs[name]).resource_url_md5()}
    assert {a.name: a.md5 for a in event_set(name).archives}.items() <= known.items()
    assert event_set(name).size == getattr(datasets, theirs[name]).get_H_W()


def test_nmnist(tmp_path):
    files.nmnist_tree(tmp_path)
    recordings = event_set("nmnist").recordings(tmp_path).recordings
    assert len(recordings) == 60
    assert recordings[0].name == "train/0/00001"
    assert {r.part for r in recordings if "Test" in r.path.parts} == {"test"}
    assert [r.label for r in recordings] == [int(r.path.parent.name) for r in recordings]


def test_cifar10dvs_is_split_by_the_order_of_names_as_text(tmp_path):
    files.cifar10dvs_tree(tmp_path)
    (tmp_path / "CIFAR10DVS/cat/cifar10_cat_1000.aedat").write_bytes(b"")
    found = event_set("cifar10-dvs").recordings(tmp_path)
    test = {r.name for r in found.recordings if r.part == "test"}
    assert test == {f"cifar10_{c}_{k}" for c in files.CIFAR_CLASSES for k in (91, 909)}
    assert len(found.recordings) == 60
    assert len(found.remarks) == 1
    assert "cifar10_cat_1000" in found.remarks[0]


def test_the_split_file_of_cifar10dvs_is_the_rule_that_it_states():
    split = read_split("cifar10-dvs")
    in_order = sorted(f"cifar10_cat_{k}.aedat" for k in range(1000))
    last = {int(name[12:-6]) for name in in_order[math.ceil(1000 * 0.9) :]}
    assert set(split["test_numbers"]) == last
    names = split_names("cifar10-dvs")
    test = {name for name in names if int(name.rpartition("_")[2]) in last}
    assert len(names) == 10_000
    assert (names_hash(test), len(test)) == (split["test"]["sha256"], split["test"]["recordings"])
    assert (names_hash(names - test), 9000) == (split["train"]["sha256"], split["train"]["recordings"])


def test_first_share_equals_spikingjellys_split():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        utils = pytest.importorskip(
            "spikingjelly.datasets.utils", reason="needs SpikingJelly: pip install saccade[events]"
        )
    for count in range(1, 300):
        train, test = utils._split_class_indices([list(range(count))], 0.9, False)
        assert first_share(count, 0.9) == ["train"] * len(train) + ["test"] * len(test)


def test_gestures_are_cut_by_the_labels_and_split_by_person(tmp_path):
    files.gesture_tree(tmp_path)
    found = event_set("dvs128-gesture").recordings(tmp_path)
    assert not found.remarks
    assert len(found.recordings) == 4 * 12
    assert {r.group for r in found.recordings if r.part == "train"} == {"user01", "user02", "user23"}
    assert {r.group for r in found.recordings if r.part == "test"} == {"user24"}
    last = [r for r in found.recordings if r.path.stem == "user02_lab" and r.label == 10]
    assert [(r.name, r.window_us) for r in last] == [
        ("user02_lab/10_0", (1_000_000, 1_100_000)),
        ("user02_lab/10_1", (1_100_000, 1_200_000)),
    ]


def test_what_speaks_against_a_tree_of_gestures_is_said(tmp_path):
    files.gesture_tree(tmp_path)
    folder = tmp_path / "DVS128Gesture/DvsGesture"
    (folder / "user02_lab_labels.csv").unlink()
    shutil.copy(folder / "user01_led.aedat", folder / "user30_led.aedat")
    shutil.copy(folder / "user01_led_labels.csv", folder / "user30_led_labels.csv")
    (folder / "trials_to_test.txt").write_text("user24_led.aedat\nuser25_led.aedat\n")
    remarks = "\n".join(event_set("dvs128-gesture").recordings(tmp_path).remarks)
    for part in (
        "user02_lab.aedat has no table of labels",
        "user30_led.aedat is of no known person",
        "user25_led.aedat is listed in trials_to_test.txt, but missing",
        "user02_lab.aedat is listed in trials_to_train.txt, but missing",
    ):
        assert part in remarks


@pytest.mark.parametrize(
    "text",
    ["", "a,b,c\n1,2,3\n", "class,startTime_usec,endTime_usec\n1,2\n", "class,startTime_usec,endTime_usec\n1,2,x\n",
     "class,startTime_usec,endTime_usec\n12,2,3\n", "class,startTime_usec,endTime_usec\n1,3,3\n",
     "class,startTime_usec,endTime_usec\n1,3,99999999999999999999\n", "class,startTime_usec,endTime_usec\n0,3,4\n"],
)  # fmt: skip
def test_damaged_labels_are_refused(tmp_path, text):
    path = tmp_path / "user01_led_labels.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match="user01_led_labels"):
        read_labels(path)


def test_fuzzed_labels_are_read_or_refused(tmp_path):
    draw = random.Random(0)
    path = tmp_path / "user01_led_labels.csv"
    sound = b"class,startTime_usec,endTime_usec\r\n1,5,9\r\n2,9,12\r\n"
    refused = 0
    for _ in range(300):
        changed = bytearray(sound)
        for _ in range(draw.randint(1, 3)):
            at = draw.choice((draw.randrange(len(changed)), draw.randrange(36, len(changed))))
            changed[at] = draw.choice((draw.randrange(256), draw.choice(b"0123456789,\n")))
        path.write_bytes(changed)
        try:
            rows = read_labels(path)
        except RecordingError:
            refused += 1
        else:
            assert all(0 <= label < 11 and start < end for label, start, end in rows)
    assert 100 < refused < 290


def test_caltech(tmp_path):
    files.caltech_tree(tmp_path)
    found = event_set("n-caltech101").recordings(tmp_path)
    assert found.class_names == ("BACKGROUND_Google", "Faces_easy", "ant")
    assert [r.name for r in found.recordings if r.part == "test"] == [f"{c}/image_0011" for c in found.class_names]


def own_tree(root, split):
    (root / "recordings").mkdir()
    (root / "recordings/sensor.json").write_text('{"height": 40, "width": 30}')
    for part in ("train", "test") if split else (".",):
        for seed, name in enumerate(("clap", "wave")):
            folder = root / "recordings" / part / name
            folder.mkdir(parents=True)
            for k, (suffix, write) in enumerate(((".bin", files.atis), (".npz", files.npz), (".dat", files.dat))):
                (folder / f"{k}{suffix}").write_bytes(write(files.some_events(50, (40, 30), seed)))


@pytest.mark.parametrize("split", [False, True])
def test_a_folder_per_class(tmp_path, split):
    own_tree(tmp_path, split)
    chosen = event_set("recordings")
    found = chosen.recordings(tmp_path)
    assert found.class_names == ("clap", "wave")
    assert chosen.sensor(tmp_path) == (40, 30)
    parts = [r.part for r in found.recordings]
    assert parts == (["train"] * 6 + ["test"] * 6 if split else ["train"] * 6)


@pytest.mark.parametrize(
    "text", [None, "", "[]", '{"height": 3}', '{"height": "3", "width": 4}', '{"height": 0, "width": 4}']
)
def test_the_sensor_must_be_said(tmp_path, text):
    own_tree(tmp_path, split=True)
    path = tmp_path / "recordings/sensor.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises((FileNotFoundError, RecordingError), match=r"sensor\.json"):
        event_set("recordings").sensor(tmp_path)


def as_spikingjelly_converts(chosen, root, target):
    """SpikingJelly's tree of .npz files, from the recordings of an original tree."""
    from saccade.data.events import read_events

    for r in chosen.recordings(root).recordings:
        events = read_events(r.path, chosen.size)
        stem, folder = r.path.stem, r.path.parent.name
        if r.window_us:
            events = events.between(*r.window_us)
            stem = f"{stem}_{r.name.rpartition('_')[2]}"
            folder = str(r.label)
        if chosen.name in ("nmnist", "dvs128-gesture"):
            folder = f"{r.part}/{folder}"
        path = target / chosen.folder / "events_np" / folder / f"{stem}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, t=events.t_us, x=events.x, y=events.y, p=events.p.astype(int))


@pytest.mark.parametrize("name", files.TREES)
def test_spikingjellys_converted_tree_has_the_same_recordings(name, tmp_path):
    original, converted = tmp_path / "a", tmp_path / "b"
    files.TREES[name](original)
    chosen = EVENT_SETS[name]
    as_spikingjelly_converts(chosen, original, converted)
    expected = [(r.name, r.label, r.part, r.group) for r in chosen.recordings(original).recordings]
    found = chosen.recordings(converted)
    assert sorted((r.name, r.label, r.part, r.group) for r in found.recordings) == sorted(expected)
    assert not found.remarks
