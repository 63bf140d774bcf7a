"""ATIS records: the `.bin` files of N-MNIST and N-Caltech101.

Orchard, Jayawant, Cohen, Thakor: "Converting static image datasets to spiking neuromorphic datasets using saccades",
Frontiers in Neuroscience 2015, arXiv 1507.07629. Five bytes per event, no header:

    byte 0: x    byte 1: y    byte 2: polarity (top bit, 1 = ON) and t bits 22..16    bytes 3, 4: t bits 15..0, in us

SpikingJelly's `load_ATIS_bin` reads sound files to the same numbers. Of a file whose length is not a multiple of five
it returns columns of different lengths, and it takes any coordinate; both are errors here. Some ATIS streams mark an
overflow of their clock by y = 240; the published sets hold no such mark, and it is refused as outside the sensor.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saccade.data.events.kernels import unpack_atis
from saccade.data.events.recording import Events, RecordingError, Size, check_events

RECORD = 5


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    count, rest = divmod(len(content), RECORD)
    if rest:
        raise RecordingError(
            path,
            f"it is truncated or damaged: {len(content)} bytes are not a whole number of {RECORD}-byte events; {rest} "
            f"are left over after event {count}.",
        )
    t, x, y, p = unpack_atis(np.frombuffer(content, np.uint8))
    return check_events(path, Events(t, x, y, p, size), lambda i: f"byte {RECORD * i}")
