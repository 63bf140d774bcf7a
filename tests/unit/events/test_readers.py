"""Readers: the same events as a decoder that takes one at a time, on sound files; a sentence for all others."""

from __future__ import annotations

import pickle

import event_files as files
import numpy as np
import pytest

from saccade.data.events import RecordingError, read_events

SIZE = (100, 90)
CONTAINERS = {
    ".bin": (files.atis, SIZE),
    ".aedat": (files.aedat2, (128, 128)),
    ".31.aedat": (files.aedat31, SIZE),
    ".dat": (files.dat, SIZE),
    ".npz": (files.npz, SIZE),
}


def as_list(events):
    return list(
        zip(events.t_us.tolist(), events.x.tolist(), events.y.tolist(), events.p.astype(int).tolist(), strict=True)
    )


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_what_was_written_is_read(tmp_path, suffix):
    write, size = CONTAINERS[suffix]
    expected = files.some_events(500, size)
    path = tmp_path / f"wave{suffix}"
    path.write_bytes(write(expected))
    events = read_events(path, size)
    assert as_list(events) == expected
    assert events.size == size
    assert (events.t_us.dtype, events.x.dtype, events.y.dtype, events.p.dtype) == (
        np.int64,
        np.uint16,
        np.uint16,
        np.bool_,
    )
    assert events.duration_us == expected[-1][0] - expected[0][0]
    assert events.backward_steps == events.skipped == 0


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_numpy_and_compiled_kernels_agree(tmp_path, suffix, monkeypatch):
    pytest.importorskip("numba")
    import importlib

    write, size = CONTAINERS[suffix]
    path = tmp_path / f"wave{suffix}"
    path.write_bytes(write(files.some_events(500, size)))
    compiled = as_list(read_events(path, size))
    reference = importlib.import_module("saccade.data.events.kernels.reference")
    monkeypatch.setattr("saccade.data.events.kernels.kernels", lambda: reference)
    assert as_list(read_events(path, size)) == compiled


def test_invalid_events_are_left_out_and_counted(tmp_path):
    expected = files.some_events(100, SIZE)
    path = tmp_path / "wave.aedat"
    path.write_bytes(files.aedat31(expected, invalid=(3, 50, 99)))
    events = read_events(path, SIZE)
    assert as_list(events) == [e for i, e in enumerate(expected) if i not in (3, 50, 99)]
    assert events.skipped == 3


def test_events_without_a_pixel_are_left_out_and_counted(tmp_path):
    expected = files.some_events(10, (128, 128))
    path = tmp_path / "wave.aedat"
    path.write_bytes(files.aedat2(expected) + bytes.fromhex("0000800000000001"))
    events = read_events(path)
    assert as_list(events) == expected
    assert events.skipped == 1


def test_a_clock_past_31_bits(tmp_path):
    path = tmp_path / "long.aedat"
    path.write_bytes(files.AEDAT31_HEADER + files.aedat31_packet(1, [(1, 2**31 + 5), (1, 2**31 + 9)]))
    assert read_events(path, SIZE).t_us.tolist() == [2**31 + 5, 2**31 + 9]


def test_a_clock_that_goes_back_is_counted(tmp_path):
    path = tmp_path / "back.bin"
    path.write_bytes(files.atis([(5, 0, 0, 1), (9, 0, 0, 1), (7, 0, 0, 1), (8, 0, 0, 1), (1, 0, 0, 0)]))
    events = read_events(path, SIZE)
    assert events.backward_steps == 2
    assert events.t_us.tolist() == [5, 9, 7, 8, 1]


SOUND = files.some_events(50, SIZE)
REFUSED = {
    "empty.bin": (b"", "empty"),
    "cut.bin": (files.atis(SOUND)[:-2], "not a whole number of 5-byte events; 3 are left over after event 49"),
    "outside.bin": (
        files.atis([*SOUND[:7], (1, 90, 0, 0)]),
        r"event 7 of 8 \(byte 35\) is at x=90, y=0, outside the sensor",
    ),
    "wave.avi": (b"RIFF", "should end in .aedat"),
    "misnamed.bin": (files.aedat31(SOUND), "belongs to .aedat files"),
    "text.aedat": (b"hello", "does not begin with #!AER-DAT"),
    "old.aedat": (b"#!AER-DAT1.0\r\n", "AEDAT version b'1.0'"),
    "cut.aedat": (files.aedat31(SOUND)[:-1], "inside the packet"),
    "header.aedat": (files.AEDAT31_HEADER.replace(b"#!END-HEADER", b"#"), "does not end with the line #!END-HEADER"),
    "packed.aedat": (files.AEDAT31_HEADER.replace(b"RAW", b"SerializedTS"), "stored as 'SerializedTS'"),
    "none.aedat": (files.AEDAT31_HEADER, "holds no events"),
    "chip.aedat": (
        files.aedat2(SOUND).replace(b"package.DVS128", b"package.DAVIS240C"),
        "from the camera some.package.DAVIS240C",
    ),
    "odd.aedat": (files.aedat2(SOUND)[:-3], "5 are left over after event 49"),
    "high.aedat": (files.aedat2([]) + b"\x01" + bytes(7), "has the address 0x01000000"),
    "cut.dat": (files.dat(SOUND)[:-1], "7 bytes are left over after event 49"),
    "version.dat": (files.dat(SOUND).replace(b"Version 2", b"Version 1"), "does not say 'Version 2'"),
    "noise.npz": (b"PK\3\4" + bytes(50), "no sound .npz"),
    "names.npz": (files.npz(SOUND).replace(b"y.npy", b"z.npy"), "no sound .npz"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_sentence_that_names_the_file(tmp_path, name):
    content, sentence = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=sentence) as refusal:
        read_events(path, None if b"AER-DAT2" in content else SIZE)
    assert str(path) in str(refusal.value)
    assert isinstance(refusal.value, ValueError)


def test_a_refusal_survives_the_way_from_another_process(tmp_path):
    error = pickle.loads(pickle.dumps(RecordingError(tmp_path / "a.bin", "it is empty.")))
    assert str(error) == f"Cannot read {tmp_path / 'a.bin'}: it is empty."
    assert error.path == tmp_path / "a.bin"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"t": np.zeros(3)}, "t is float64"),
        ({"x": np.zeros((3, 1), int)}, "one row of whole numbers"),
        ({"p": np.array([0, 1, 2])}, r"p\[2\] is 2"),
        ({"x": np.array([0, -1, 0])}, r"x\[1\] is -1"),
        ({"t": np.zeros(2, int)}, "not equally many"),
        ({"t": np.array([None] * 3)}, "t is object"),
    ],
)
def test_npz_with_strange_arrays(tmp_path, change, sentence):
    arrays = {"t": np.zeros(3, int), "x": np.zeros(3, int), "y": np.zeros(3, int), "p": np.zeros(3, int), **change}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(RecordingError, match=sentence):
        read_events(tmp_path / "a.npz", SIZE)


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_events(tmp_path / "nothing.bin")
