"""Real files of other people's cameras, below SACCADE_SHARED: read to the numbers that are known of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from saccade.data.events import RecordingError, read_events
from saccade.data.events.sets.gesture import read_labels

SHARED = os.environ.get("SACCADE_SHARED")
pytestmark = pytest.mark.skipif(not SHARED, reason="needs the sample files below SACCADE_SHARED")
SAMPLES = Path(SHARED or ".") / "data/event_samples"

# name: (size given, events, x, y from-to, time span in us, size read)
KNOWN = {
    "dvs128_aedat2_short.aedat": (None, 130_114, (0, 127), (0, 127), 6_181_499, (128, 128)),
    "davis346_sample.aedat4": (None, 6_676, (14, 334), (8, 245), 169_941, (260, 346)),
    "ncaltech101_faces_easy_0001.bin": ((180, 240), 67_445, (0, 150), (0, 172), 299_358, (180, 240)),
    "sample_ncars.dat": (None, 2_009, (0, 77), (0, 41), 99_952, None),
    "dvsgesture_aedat31_handmade_1.aedat": ((128, 128), 12, (0, 127), (0, 127), 2_178_802, (128, 128)),
    "dvsgesture_aedat31_handmade_2.aedat": ((128, 128), 18, (0, 127), (0, 127), 2_178_802, (128, 128)),
    "dvsgesture_aedat31_handmade_3.aedat": ((128, 128), 5, (15, 127), (17, 126), 1_273, (128, 128)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_sample_is_read(name):
    size, count, columns, rows, span_us, sensor = KNOWN[name]
    if name.endswith("4"):
        pytest.importorskip("aedat")
    events = read_events(SAMPLES / name, size)
    assert len(events) == count
    assert (events.x.min(), events.x.max()) == columns
    assert (events.y.min(), events.y.max()) == rows
    assert events.duration_us == span_us
    assert events.size == sensor
    assert events.backward_steps == events.skipped == 0


def test_every_sample_is_read_or_refused():
    for path in SAMPLES.iterdir():
        if path.name not in KNOWN:
            with pytest.raises(RecordingError, match="should end in"):
                read_events(path)


def test_real_labels_of_a_gesture_trial():
    rows = read_labels(SAMPLES / "dvsgesture_user01_natural_labels.csv")
    assert [label for label, _, _ in rows] == [0, 1, 2, 4, 3, 5, 6, 7, 7, 8, 9, 10]
    assert rows[0] == (0, 53_036_986, 59_508_469)


def test_handmade_gestures_are_cut_by_their_labels():
    events = read_events(SAMPLES / "dvsgesture_aedat31_handmade_1.aedat", (128, 128))
    rows = read_labels(SAMPLES / "dvsgesture_aedat31_handmade_1_labels.csv")
    assert [(label, events.between(start, end).t_us.tolist()) for label, start, end in rows] == [
        (0, [25, 38, 48]),
        (4, [102_865, 102_898, 119_579]),
        (10, []),
    ]
