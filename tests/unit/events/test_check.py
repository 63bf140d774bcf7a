"""What `check` finds."""

from __future__ import annotations

import shutil

import event_files as files
import pytest

from saccade.data.events import event_set
from saccade.data.events.check import check_set


def findings(name, root):
    report = check_set(event_set(name), root)
    return report, "\n".join(f"{finding.level}: {finding.what}" for finding in report.findings)


@pytest.fixture
def nmnist(tmp_path):
    files.nmnist_tree(tmp_path)
    return tmp_path


def test_a_sound_but_incomplete_set(nmnist):
    report, text = findings("nmnist", nmnist)
    assert report.sound
    assert report.recordings == {"train": 40, "test": 20}
    assert report.events == 60 * 200
    assert "warning: The train part has 40 of 60,000 recordings" in text


def test_empty_truncated_and_foreign_recordings(nmnist):
    folder = nmnist / "NMNIST/Train/5"
    paths = sorted(folder.iterdir())
    paths[0].write_bytes(b"")
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    paths[2].write_bytes(files.atis([(0, 200, 3, 1)]))
    report, text = findings("nmnist", nmnist)
    assert not report.sound
    for path, problem in zip(paths, ("it is empty", "it is truncated or damaged", "outside the sensor"), strict=False):
        assert f"error: Cannot read {path}: " in text
        assert problem in text


def test_a_recording_that_is_cut_between_two_events(nmnist):
    path = nmnist / "NMNIST/Train/5/00021.bin"
    path.write_bytes(path.read_bytes()[: 5 * 40])
    report, text = findings("nmnist", nmnist)
    assert report.sound
    assert "warning: train/5/00021 last less than half of the usual" in text


def test_a_clock_that_goes_back(nmnist):
    path = nmnist / "NMNIST/Train/5/00021.bin"
    path.write_bytes(files.atis(files.some_events(200, (34, 34))[::-1]))
    assert "warning: In train/5/00021 the clock goes back" in findings("nmnist", nmnist)[1]


def test_duplicates_and_leaks(nmnist):
    train, test = nmnist / "NMNIST/Train/5", nmnist / "NMNIST/Test/5"
    first = sorted(train.iterdir())[0]
    shutil.copy(first, train / "00999.bin")
    report, text = findings("nmnist", nmnist)
    assert report.sound
    assert "warning: The same content is there more than once" in text
    shutil.copy(first, test / "00999.bin")
    report, text = findings("nmnist", nmnist)
    assert not report.sound
    assert "error: The same content is there on both sides of the split" in text


def test_missing_classes_and_imbalance(nmnist):
    shutil.rmtree(nmnist / "NMNIST/Test/7")
    for path in sorted((nmnist / "NMNIST/Train/2").iterdir())[:2]:
        path.unlink()
    report, text = findings("nmnist", nmnist)
    assert not report.sound
    assert "error: The test part has no recordings of 7." in text
    assert "note: The classes of the train part are not of one size: 4 of 0, 2 of 2." in text


def test_missing_recordings_are_named(tmp_path):
    files.cifar10dvs_tree(tmp_path)
    report, text = findings("cifar10-dvs", tmp_path)
    assert report.sound
    assert "cifar10_airplane_100, cifar10_airplane_101" in text
    assert "and 9,935 more are missing" in text


def test_gaps_in_the_numbers(tmp_path):
    files.caltech_tree(tmp_path)
    (tmp_path / "NCaltech101/Caltech101/ant/image_0004.bin").unlink()
    text = findings("n-caltech101", tmp_path)[1]
    assert "warning: ant/image_0004 are missing, though later numbers are there" in text
    assert "There are 32 of 8,709 recordings" in text


def test_a_gesture_without_events(tmp_path):
    files.gesture_tree(tmp_path)
    table = tmp_path / "DVS128Gesture/DvsGesture/user01_led_labels.csv"
    table.write_text(table.read_text() + "3,9000000,9100000\n")
    report, text = findings("dvs128-gesture", tmp_path)
    assert not report.sound
    assert "error: user01_led/2_1 holds no events" in text


def test_progress_is_told(nmnist):
    calls = []
    check_set(event_set("nmnist"), nmnist, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (60, 60)
