"""Frames: equal to a slow loop and to SpikingJelly's, every event once, none invented."""

from __future__ import annotations

import importlib
import warnings

import event_files as files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.data.events import Events, FrameSpec, to_frames

KERNELS = ["reference", "compiled"]


def make_events(rows, size):
    t, x, y, p = np.array(rows, np.int64).reshape(-1, 4).T
    return Events(t, x.astype(np.uint16), y.astype(np.uint16), p.astype(np.bool_), size)


def slow_frames(events, spec):
    """One event at a time, straight from the definition."""
    height, width = spec.size or events.size
    frames = np.zeros((spec.steps, 2, height, width), int)
    order = range(len(events)) if spec.by == "count" else sorted(range(len(events)), key=lambda i: events.t_us[i])
    first, last = int(events.t_us.min()), int(events.t_us.max())
    used = 0
    for place, i in enumerate(order):
        if spec.by == "count":
            per_frame = len(events) // spec.steps
            k = min(place // per_frame, spec.steps - 1) if per_frame else spec.steps - 1
        elif spec.window_us is None:
            k = min((int(events.t_us[i]) - first) // max(1, (last - first) // spec.steps), spec.steps - 1)
        else:
            k = (int(events.t_us[i]) - first) // spec.window_us
            if k >= spec.steps:
                continue
        row = int(events.y[i]) * height // events.size[0]
        column = int(events.x[i]) * width // events.size[1]
        frames[k, int(events.p[i]), row, column] += 1
        used += 1
    return frames, used


@pytest.fixture(params=KERNELS)
def kernel(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
    module = importlib.import_module(f"saccade.data.events.kernels.{request.param}")
    monkeypatch.setattr("saccade.data.events.kernels.kernels", lambda: module)


SPECS = [
    FrameSpec(1),
    FrameSpec(7),
    FrameSpec(10, size=(9, 5)),
    FrameSpec(7, "time"),
    FrameSpec(3, "time", size=(1, 1)),
    FrameSpec(4, "time", window_us=30_000),
    FrameSpec(40, "time", window_us=20_000, size=(20, 7)),
    FrameSpec(1000),
    FrameSpec(500, "time"),
]


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("count", [1, 6, 333])
def test_equal_to_a_slow_loop(spec, count):
    events = make_events(files.some_events(count, (20, 15), seed=count), (20, 15))
    clip = to_frames(events, spec)
    frames, used = slow_frames(events, spec)
    assert (clip.frames == frames).all()
    assert (clip.used, clip.total) == (used, count)
    assert clip.share == used / count
    assert clip.frames.sum() == used


def test_events_out_of_order_are_put_in_order_for_frames_by_time_alone():
    events = make_events([(5, 0, 0, 1), (0, 1, 0, 1), (9, 2, 0, 1), (4, 3, 0, 0)], (1, 4))
    for by in ("count", "time"):
        assert (to_frames(events, FrameSpec(2, by)).frames == slow_frames(events, FrameSpec(2, by))[0]).all()
    assert to_frames(events, FrameSpec(2, "time")).frames[0].sum() == 1  # t from 0 up to 4


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 5), st.integers(0, 3), st.integers(0, 1)), min_size=1),
    st.integers(1, 12),
    st.sampled_from(["count", "time"]),
)
def test_no_event_is_lost_or_invented_and_polarity_is_kept(rows, steps, by):
    events = make_events(rows, (4, 6))
    clip = to_frames(events, FrameSpec(steps, by))
    assert clip.frames.shape == (steps, 2, 4, 6)
    assert clip.share == 1
    for polarity in (0, 1):
        expected = np.zeros((4, 6), int)
        np.add.at(expected, (events.y[events.p == polarity], events.x[events.p == polarity]), 1)
        assert (clip.frames[:, polarity].sum(0) == expected).all()


def test_counts_past_255_and_65535_do_not_overflow():
    for count in (255, 256, 65_536, 70_000):
        events = make_events([(t, 1, 0, 1) for t in range(count)], (1, 2))
        assert to_frames(events, FrameSpec(1)).frames[0, 1, 0].tolist() == [0, count]


@pytest.fixture(scope="module")
def spikingjelly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            "spikingjelly.datasets.utils", reason="needs SpikingJelly: pip install saccade[events]"
        )


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("steps", [1, 4, 10, 16, 33])
@pytest.mark.parametrize(("by", "split_by"), [("count", "number"), ("time", "time")])
def test_equal_to_spikingjelly(spikingjelly, steps, by, split_by):
    rows = files.some_events(5000, (34, 34), seed=steps)
    events = make_events(rows, (34, 34))
    theirs = {"t": events.t_us, "x": events.x, "y": events.y, "p": events.p.astype(int)}
    expected = spikingjelly.integrate_events_by_fixed_frames_number(theirs, split_by, steps, 34, 34)
    assert (to_frames(events, FrameSpec(steps, by)).frames == expected).all()


def test_spikingjellys_readers_see_the_same_pictures(spikingjelly, tmp_path):
    """Orientation and polarity of every container that SpikingJelly reads too."""
    from spikingjelly.datasets.cifar10_dvs import _load_origin_data

    from saccade.data.events import read_events

    rows = files.some_events(1000, (128, 128))
    for name, content, load in (
        ("a.bin", files.atis(rows), spikingjelly.load_ATIS_bin),
        ("a.aedat", files.aedat2(rows), _load_origin_data),
        ("b.aedat", files.aedat31(rows), spikingjelly.load_aedat_v3),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        theirs, ours = load(path), read_events(path, (128, 128))
        for key, column in (("t", ours.t_us), ("x", ours.x), ("y", ours.y), ("p", ours.p)):
            assert (theirs[key] == column).all(), (name, key)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"steps": 0}, "1 frame or more, not steps=0"),
        ({"steps": 2, "by": "number"}, "not by 'number'"),
        ({"steps": 2, "window_us": 5}, "goes with by='time'"),
        ({"steps": 2, "by": "time", "window_us": 0}, "1 or more"),
        ({"steps": 2, "size": (0, 3)}, "1 pixel or more"),
    ],
)
def test_requests_that_make_no_sense(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        FrameSpec(**arguments)


def test_frames_need_a_sensor_and_no_more_pixels_than_it_has():
    rows = files.some_events(10, (4, 4))
    with pytest.raises(ValueError, match="which the recording does not say"):
        to_frames(make_events(rows, None), FrameSpec(2))
    with pytest.raises(ValueError, match="larger than the sensor"):
        to_frames(make_events(rows, (4, 4)), FrameSpec(2, size=(4, 5)))
