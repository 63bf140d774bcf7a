"""Damaged files, more than 2,000 (40,000 with SACCADE_FUZZ=20): cut anywhere, bytes flipped, wrong beginnings.

Coordinates out of range as well.
What a file still says is read exactly as a decoder that takes one event at a time reads it; what that decoder refuses
is refused, with a RecordingError that names the file. Nothing else may happen.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import event_files as files
import numpy as np
import pytest
from test_readers import as_list

from saccade.data.events import Events, RecordingError, read_events

# Twenty times as many cases: SACCADE_FUZZ=20.
LONG = int(os.environ.get("SACCADE_FUZZ", 1))
SIZE = (60, 50)
EVENTS = 60


def damage(content: bytes, draw: random.Random) -> bytes:
    """Cut it, change bytes anywhere or near its beginning, put some in, take some out, or give it another beginning."""
    kind = draw.randrange(6)
    if kind == 0:
        return content[: draw.randrange(len(content))]
    changed = bytearray(content)
    if kind in (1, 2):
        reach = len(content) if kind == 1 else min(len(content), 150)
        for _ in range(draw.randint(1, 8)):
            changed[draw.randrange(reach)] = draw.randrange(256)
    elif kind == 3:  # one bit, the hardest to see
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    elif kind == 4:
        at, length = draw.randrange(len(changed)), draw.randint(1, 9)
        changed[at : at + draw.choice((0, length))] = draw.randbytes(draw.choice((0, length)))
    else:
        changed[: draw.randint(1, 16)] = draw.choice(
            (b"", b"#", b"#!AER-DAT", b"#!AER-DAT9.1", b"%", b"PK\3\4", draw.randbytes(8))
        )
    return bytes(changed)


FORMATS = {
    "atis": (".bin", files.atis, files.slow_atis, SIZE, 400),
    "aedat2": (".aedat", files.aedat2, files.slow_aedat2, (128, 128), 500),
    "aedat31": (".aedat", files.aedat31, files.slow_aedat31, SIZE, 700),
    "dat": (".dat", files.dat, files.slow_dat, SIZE, 400),
}


def outcome(path: Path, size: tuple[int, int] | None) -> Events | None:
    """What is read; None for a refusal that names the file."""
    try:
        return read_events(path, size)
    except RecordingError as error:
        return None if str(path) in str(error) else pytest.fail(f"{error} does not name {path}")


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_read_as_they_say_or_are_refused(tmp_path, name):
    suffix, write, slow, size, cases = FORMATS[name]
    draw = random.Random(name)
    path = tmp_path / f"damaged{suffix}"
    read = refused = 0
    for case in range(cases * LONG):
        content = damage(write(files.some_events(EVENTS, size, seed=case)), draw)
        path.write_bytes(content)
        try:
            expected = slow(content, size)
        except files.BadFileError:
            expected = None
        if content.startswith(b"#!AER-DAT") and suffix != ".aedat":
            expected = None  # it would make events, but says that it is something else
        events = outcome(path, size)
        assert (None if events is None else (as_list(events), events.skipped)) == expected, f"case {case}"
        read += events is not None
        refused += events is None
    assert read > 20
    assert refused > 100


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_archives_give_what_was_stored_or_are_refused(tmp_path, compressed):
    draw = random.Random(7)
    path = tmp_path / "damaged.npz"
    refused = 0
    for case in range(250 * LONG):
        sound = files.some_events(EVENTS, SIZE, seed=case)
        path.write_bytes(damage(files.npz(sound, compressed), draw))
        events = outcome(path, SIZE)
        assert events is None or as_list(events) == sound
        refused += events is None
    assert refused > 150


def test_coordinates_out_of_range_are_found_wherever_they_are(tmp_path):
    draw = random.Random(3)
    for name, (suffix, write, _, size, _) in FORMATS.items():
        if name == "aedat2":
            continue  # seven bits cannot leave the sensor
        for case in range(40):
            events = files.some_events(EVENTS, size, seed=case)
            at = draw.randrange(EVENTS)
            t, x, y, p = events[at]
            x, y = (draw.randrange(size[1], 256), y) if draw.random() < 0.5 else (x, draw.randrange(size[0], 256))
            events[at] = (t, x, y, p)
            path = tmp_path / f"outside{suffix}"
            path.write_bytes(write(events))
            with pytest.raises(RecordingError, match=f"event {at} of {EVENTS} .* is at x={x}, y={y}, outside"):
                read_events(path, size)


def test_damaged_aedat4(tmp_path):
    """The package that reads AEDAT 4 stops its process on some of these; ours goes on."""
    shared = os.environ.get("SACCADE_SHARED")
    if not shared:
        pytest.skip("needs a sample of AEDAT 4, below SACCADE_SHARED")
    pytest.importorskip("aedat")
    sound = (Path(shared) / "data/event_samples/davis346_sample.aedat4").read_bytes()
    draw = random.Random(1)
    path = tmp_path / "damaged.aedat4"
    refused = 0
    for _ in range(150 * LONG):
        path.write_bytes(damage(sound, draw))
        events = outcome(path, None)
        if events is None:
            refused += 1
            continue
        assert 0 < len(events) <= 6676
        assert events.x.max() < 346
        assert events.y.max() < 260
        assert np.all(events.t_us >= 0)
    assert refused > 40
