"""Prophesee DAT, version 2: the `.dat` files of N-CARS and of Prophesee's older tools.

Lines of text that begin with "%", two bytes (event type, bytes per event), then eight bytes per event, little-endian:
u4 t in us, u4 word with x in bits 0-13, y in bits 14-27, and the polarity (0 or 1, 1 = ON) in bits 28-31.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saccade.data.events.kernels import WordLayout, unpack_pairs
from saccade.data.events.readers.header import header_lines
from saccade.data.events.recording import MOST_PIXELS, Events, RecordingError, Size, check_events

RECORD = 8
CHANGE_EVENTS = (0, 12)  # both numbers stand for "2D" events with a polarity
LAYOUT = WordLayout(x_shift=0, x_mask=0x3FFF, y_shift=14, y_mask=0x3FFF, p_shift=28, time_first=True)


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    lines, start = header_lines(path, content, b"%")
    fields = {name: value for _, name, value in filter(lambda parts: len(parts) == 3, map(str.split, lines))}
    if fields.get("Version") != "2":
        raise RecordingError(path, "its header does not say 'Version 2', which is the version of DAT that is read.")
    kind = tuple(content[start : start + 2])
    if len(kind) != 2 or kind[0] not in CHANGE_EVENTS or kind[1] != RECORD:
        raise RecordingError(
            path, f"after the header (byte {start}) come type and size of the events {kind}, not (0 or 12, {RECORD})."
        )
    start += 2
    count, rest = divmod(len(content) - start, RECORD)
    if rest:
        raise RecordingError(
            path,
            f"it is truncated or damaged: {rest} bytes are left over after event {count}, at its end.",
        )
    pairs = np.frombuffer(content, "<u4", offset=start)
    t, x, y, p, bits, _ = unpack_pairs(pairs, LAYOUT)
    if bits >> 29:
        i = int(np.argmax(pairs[1::2] >> 29 > 0))
        raise RecordingError(path, f"it is damaged: event {i} (byte {start + RECORD * i}) has a polarity past 1.")
    if "Width" in fields and "Height" in fields:
        size = _same_size(path, fields, size)
    return check_events(path, Events(t, x, y, p, size), lambda i: f"byte {start + RECORD * i}")


def _same_size(path: Path, fields: dict[str, str], size: Size | None) -> Size:
    try:
        own = int(fields["Height"]), int(fields["Width"])
    except ValueError:
        raise RecordingError(path, f"its header gives the size {fields['Width']} x {fields['Height']}.") from None
    if not all(1 <= side <= MOST_PIXELS for side in own):
        raise RecordingError(path, f"its header gives a sensor of {own[1]} x {own[0]} pixels. It is damaged.")
    if size is not None and size != own:
        raise RecordingError(path, f"its sensor has (height, width) {own}, but {size} is needed here.")
    return own
