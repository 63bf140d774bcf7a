"""AEDAT 2.0 of a DVS128 camera: the `.aedat` files of CIFAR10-DVS.

Li, Liu, Ji, Li, Shi: "CIFAR10-DVS: An Event-Stream Dataset for Object Classification", Frontiers in Neuroscience
2017. After a header of lines that begin with "#", eight bytes per event: address and time in us, both 32 bits,
big-endian. Address bits: 0 polarity (0 = ON), 1-7 x_raw, 8-14 y_raw, 15 set: no pixel event
(synchronisation).

The picture has SpikingJelly's orientation, on which the published scores rest: column 127 - y_raw, row 127 - x_raw,
channel 1 - p_raw.

Differs from SpikingJelly's `_load_origin_data`: the higher address bits must be zero, events with bit 15 are set aside
and counted, and an incomplete last event is an error that names the place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.data.events.kernels import WordLayout, unpack_pairs
from saccade.data.events.readers.header import header_lines
from saccade.data.events.recording import Events, RecordingError, Size, check_events

RECORD = 8
SIDE = 128
LAYOUT = WordLayout(x_shift=8, x_mask=127, y_shift=1, y_mask=127, p_shift=0, x_flip=127, y_flip=127, p_flip=1)
SPECIAL = 1 << 15


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    if size not in (None, (SIDE, SIDE)):
        raise RecordingError(path, f"AEDAT 2.0 is read for the DVS128 camera, which has {SIDE} x {SIDE} pixels.")
    lines, start = header_lines(path, content, b"#", end=b"#End Of ASCII Header")
    _check_camera(path, lines)
    count, rest = divmod(len(content) - start, RECORD)
    if rest:
        raise RecordingError(
            path,
            f"it is truncated or damaged: the {len(content) - start} bytes after the header are not a whole number of "
            f"{RECORD}-byte events; {rest} are left over after event {count}.",
        )
    pairs = np.frombuffer(content, ">u4", offset=start).astype(np.uint32)
    t, x, y, p, bits, _ = unpack_pairs(pairs, LAYOUT)
    if bits >= SPECIAL:
        kept = _pixels(path, pairs[0::2], start)
        t, x, y, p = t[kept], x[kept], y[kept], p[kept]
    events = Events(t, x, y, p, (SIDE, SIDE), skipped=count - len(t))
    return check_events(path, events, lambda i: f"byte {start + RECORD * i}")


def _pixels(path: Path, address: NDArray[np.uint32], start: int) -> NDArray[np.bool_]:
    """Which events have a pixel; a RecordingError if there are bits that no DVS128 sets."""
    strange = address >= 2 * SPECIAL
    if strange.any():
        i = int(np.argmax(strange))
        raise RecordingError(
            path,
            f"event {i} of {len(address)} (byte {start + RECORD * i}) has the address 0x{address[i]:08x}, but a DVS128 "
            "uses the lowest 16 bits alone. The file is damaged, or it is from another camera.",
        )
    return address < SPECIAL


def _check_camera(path: Path, lines: list[str]) -> None:
    for line in lines:
        name, _, chip = line.partition("AEChip:")
        if chip and name.strip("# ") == "" and chip.strip().rpartition(".")[2] not in ("DVS128", "Tmpdiff128"):
            raise RecordingError(
                path, f"it is from the camera {chip.strip()}, but AEDAT 2.0 is read for the DVS128 only."
            )
