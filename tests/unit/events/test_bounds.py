"""Nothing that a caller hands over reaches a compiled loop unchecked: right frames, or a sentence."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import event_files as files
import numpy as np
import pytest
from test_frames import make_events, slow_frames

from saccade.data.events import Events, FrameSpec, kernels, to_frames
from saccade.data.events.show import draw_recording

CASES = int(os.environ.get("SACCADE_FUZZ", 1)) * 600
EXTREME = (
    0,
    1,
    2,
    3,
    7,
    9,
    254,
    2**15,
    2**31 - 1,
    2**31,
    2**52,
    2**60,
    2**61 - 1,
    2**61,
    2**62,
    2**63 - 1,
    2**64,
    10**30,
)


def test_events_outside_the_sensor_are_refused_before_anything_is_counted():
    events = make_events(files.some_events(500, (128, 128)), (128, 128))
    with pytest.raises(ValueError, match=r"event \d+ of 500 is at x=\d+, y=\d+, outside the sensor of 34 x 34 pixels"):
        to_frames(replace(events, size=(34, 34)), FrameSpec(4))
    with pytest.raises(ValueError, match="outside the sensor"):
        to_frames(replace(events, size=(34, 34)), FrameSpec(4, size=10))


@pytest.mark.parametrize("window_us", [2**60, 2**61, 2**62, 2**63, 2**64, 10**30])
def test_windows_longer_than_time_itself_take_every_event_once(window_us):
    events = make_events(files.some_events(1000, (34, 34)), (34, 34))
    clip = to_frames(events, FrameSpec(10, "time", window_us))
    assert clip.frames[0].sum() == clip.frames.sum() == clip.used == 1000


def test_times_that_cannot_be_subtracted_are_refused():
    events = make_events([(-(2**63), 0, 0, 0), (2**63 - 1, 0, 0, 1)], (1, 1))
    assert events.duration_us == 2**64 - 1
    assert to_frames(events, FrameSpec(2)).used == 2
    with pytest.raises(ValueError, match="Times must lie within"):
        to_frames(events, FrameSpec(2, "time"))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("x", np.array([-1, 0])),
        ("y", np.array([0, 1], np.int32)),
        ("p", np.array([2, 0])),
        ("x", np.zeros(1, np.uint16)),
    ],
)
def test_columns_that_would_wrap_round_are_refused(column, values):
    events = make_events([(0, 0, 0, 0), (1, 0, 0, 1)], (4, 4))
    with pytest.raises(ValueError, match=f"Events take {column} as an array"):
        replace(events, **{column: values})


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (2**16 + 1, 1), (4,)])
def test_a_sensor_without_pixels_is_refused(size):
    with pytest.raises(ValueError, match="A sensor has"):
        make_events([(0, 0, 0, 0)], size)


def test_frames_that_would_fill_the_machine_are_refused():
    events = make_events([(0, 0, 0, 0)], (2**16, 2**16))
    with pytest.raises(ValueError, match="more than 1 GiB"):
        to_frames(events, FrameSpec(1))
    with pytest.raises(ValueError, match="65,536 are the most"):
        FrameSpec(2**40)


def test_the_loop_itself_refuses_what_it_cannot_index():
    x = y = np.zeros(4, np.uint16)
    p = np.zeros(4, np.bool_)
    sound = {"x": x, "y": y, "p": p, "cuts": np.array([0, 2, 4]), "frames": np.zeros((2, 2, 3, 3), np.uint8)}
    kernels.count_events(**sound)
    assert sound["frames"].sum() == 4
    for name, value in (
        ("x", np.array([0, 0, 3, 0], np.uint16)),
        ("y", np.array([0, 9, 0, 0], np.uint16)),
        ("x", np.zeros(4, np.int64)),
        ("x", np.zeros(3, np.uint16)),
        ("p", np.full(4, 2, np.uint8)),
        ("cuts", np.array([0, 4, 2])),
        ("cuts", np.array([-1, 2, 4])),
        ("cuts", np.array([0, 2, 5])),
        ("cuts", np.array([0, 2, 3, 4])),
        ("cuts", np.array([0.0, 2.0, 4.0])),
        ("frames", np.zeros((2, 3, 3, 3), np.uint8)),
        ("frames", np.zeros((2, 2, 3, 3), np.float32)),
    ):
        with pytest.raises(ValueError, match="cannot be counted"):
            kernels.count_events(**{**sound, name: value})
    many = np.zeros(300, np.uint16)
    with pytest.raises(ValueError, match="do not fit uint8"):
        kernels.count_events(many, many, many > 0, np.array([0, 300, 300]), np.zeros((2, 2, 3, 3), np.uint8))
    for unpack in (lambda: kernels.unpack_atis(np.zeros(7, np.uint8)), lambda: kernels.unpack_pairs(np.zeros(3), None)):
        with pytest.raises(ValueError, match="cannot be counted"):
            unpack()


def strange_events(draw):
    """Events, most of them sound, in arrays of most types and with any sensor."""
    n = draw.choice((0, 1, 2, 50))
    reach = draw.choice((5,) * 9 + (2**16,))
    times = [draw.choice((*[draw.randrange(1000)] * 30, draw.choice(EXTREME) % 2**63)) for _ in range(n)]
    if draw.random() < 0.7:
        times.sort()
    columns = {
        "t_us": np.array(times, np.int64),
        "x": np.array([draw.randrange(reach) for _ in range(n)], draw.choice((np.uint16,) * 30 + (np.int64,))),
        "y": np.array([draw.randrange(reach) for _ in range(n)], draw.choice((np.uint16,) * 30 + (np.uint32,))),
        "p": np.array([draw.randrange(2) for _ in range(n)], draw.choice((np.bool_,) * 30 + (np.uint8,))),
    }
    if draw.random() < 0.1:
        name = draw.choice(sorted(columns))
        columns[name] = columns[name][:-1]
    sides = (5,) * 12 + (7, 2, 2**16, 0)
    return Events(**columns, size=draw.choice((None,) + ((draw.choice(sides), draw.choice(sides)),) * 9))


def strange_spec(draw):
    size = draw.choice((None, None, None, 1, 2, (2, 4), (5, 5), 6, draw.choice(((0, 1), draw.choice(EXTREME)))))
    steps = draw.choice((1, 2, 3, 10, 77, 400, draw.choice((*EXTREME, -1, 2.5))))
    window_us = draw.choice((None, 100, 333, draw.choice(EXTREME), -5))
    return FrameSpec(
        steps, *(draw.choice((("count",), ("time",), ("time", window_us), ("time", window_us)))), size=size
    )


def test_any_events_with_any_frames_are_counted_right_or_refused():
    draw = random.Random(5)
    counted = refused = 0
    for _ in range(CASES):
        try:
            events, spec = strange_events(draw), strange_spec(draw)
            clip = to_frames(events, spec)
        except ValueError:
            refused += 1
            continue
        assert clip.frames.sum(dtype=np.int64) == clip.used
        if len(events):
            expected, used = slow_frames(events, spec)
            assert clip.used == used
            assert (clip.frames == expected).all()
        counted += 1
    assert counted > 0.3 * CASES
    assert refused > 0.2 * CASES


def test_a_picture_of_windows_that_are_too_long(tmp_path):
    events = make_events(files.some_events(100, (34, 34)), (34, 34))
    draw_recording(events, FrameSpec(9, "time", 2**60), "long", tmp_path / "long.png")
    assert (tmp_path / "long.png").stat().st_size > 1000


if os.environ.get("NUMBA_BOUNDSCHECK"):

    def test_an_index_out_of_range_stops_the_loop():
        column = np.full(4, 9, np.uint16)
        with pytest.raises(IndexError):
            kernels.kernels().count_events(
                column, column, column > 0, np.array([0, 4]), np.zeros((1, 2, 3, 3), np.uint8)
            )


def test_damaged_files_with_every_index_checked(tmp_path):
    """The same corpora once more, with loops that stop at an index out of range instead of writing there."""
    pytest.importorskip("numba")
    here = Path(__file__).parent
    tests = [str(here / "test_fuzz.py"), str(here / __file__), "-k", "not every_index_checked and not aedat4"]
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=here)
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed" in run.stdout
