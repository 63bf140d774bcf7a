"""AEDAT 3.1: the `.aedat` files of DVS128 Gesture.

Amir et al.: "A Low Power, Fully Event-Based Gesture Recognition System", CVPR 2017. After a header of lines that begin
with "#" and end with "#!END-HEADER", packets, little-endian. A packet has a header of 28 bytes:

    u2 type (1 = polarity)   u2 source   u4 bytes per event   u4 offset of the time in an event
    u4 overflows of the clock   u4 capacity   u4 number of events   u4 number of valid events

and a polarity event 8 bytes: word (bit 0 valid, bit 1 polarity with 1 = ON, bits 2-16 y, bits 17-31 x) and time. The
time is (overflows << 31) | time, in us. Packets of other types (frames, inertial measurements, triggers) are passed
over.

Differs from SpikingJelly's `load_aedat_v3`, a Python loop over events: damaged or truncated packets are errors, and
events that the file marks as invalid are left out and counted. The valid bits are looked at only where the packet's
header says that some events are invalid: there are writers that never set the bit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saccade.data.events.kernels import WordLayout, unpack_pairs
from saccade.data.events.readers.header import header_lines
from saccade.data.events.recording import Events, RecordingError, Size, check_events

HEADER = struct.Struct("<HHIIIIII")
END = b"#!END-HEADER"
POLARITY = 1
EVENT = 8
# A sound file of the largest size that is read has fewer.
MOST_PACKETS = 2**20
LAYOUT = WordLayout(x_shift=17, x_mask=0x7FFF, y_shift=2, y_mask=0x7FFF, p_shift=1)


class Packet(NamedTuple):
    """The header of one packet, in the order of the file."""

    type: int
    source: int
    event_bytes: int
    time_offset: int
    overflows: int
    capacity: int
    number: int
    valid: int


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    start = _check_header(path, content)
    chunks, overflows, places, skipped = [], [], [], 0
    for at, packet in _packets(path, content, start):
        pairs = np.frombuffer(content, "<u4", 2 * packet.number, at + HEADER.size)
        if packet.valid != packet.number:
            pairs = pairs.reshape(-1, 2)[_valid_events(path, at, packet, pairs[0::2])].ravel()
            skipped += packet.number - packet.valid
        chunks.append(pairs)
        overflows.append(packet.overflows)
        places.append(at)
    if not chunks:
        raise RecordingError(path, "it holds no events.")
    t, x, y, p, _, time_bits = unpack_pairs(np.concatenate(chunks), LAYOUT)
    ends = np.cumsum([len(pairs) // 2 for pairs in chunks])

    def where(event: int) -> str:
        return f"in the packet at byte {places[np.searchsorted(ends, event, 'right')]}"

    if time_bits >> 31:
        raise RecordingError(path, f"it is damaged: {where(int(np.argmax(t >> 31)))} a time takes more than 31 bits.")
    if any(overflows):
        t |= np.repeat(np.array(overflows, np.int64) << 31, [len(pairs) // 2 for pairs in chunks])
    return check_events(path, Events(t, x, y, p, size, skipped), where)


def _check_header(path: Path, content: bytes) -> int:
    lines, start = header_lines(path, content, b"#", end=END)
    if not lines or lines[-1] != END.decode():
        raise RecordingError(path, f"its header does not end with the line {END.decode()}. It is truncated or damaged.")
    for line in lines:
        name, _, value = line.partition(":")
        if name == "#Format" and value.strip() != "RAW":
            raise RecordingError(
                path, f"its events are stored as {value.strip()!r}; RAW is what is read. Export it as RAW."
            )
    return start


def _packets(path: Path, content: bytes, start: int) -> Iterator[tuple[int, Packet]]:
    """The polarity packets and where they begin; a RecordingError where the chain of packets breaks."""
    at, number = start, 0
    while at < len(content):
        if (number := number + 1) > MOST_PACKETS:
            raise RecordingError(path, f"it has more than {MOST_PACKETS:,} packets up to byte {at}. It is damaged.")
        if at + HEADER.size > len(content):
            raise RecordingError(path, f"it is truncated: it ends inside the header of the packet at byte {at}.")
        packet = Packet._make(HEADER.unpack_from(content, at))
        end = at + HEADER.size + packet.capacity * packet.event_bytes
        polarity = packet.type == POLARITY
        if (
            not packet.valid <= packet.number <= packet.capacity
            or packet.event_bytes < EVENT
            or packet.overflows >> 31
            or (polarity and (packet.event_bytes, packet.time_offset) != (EVENT, 4))
        ):
            raise RecordingError(
                path, f"the packet at byte {at} has a header that makes no sense: {packet}. It is damaged."
            )
        if end > len(content):
            raise RecordingError(
                path,
                f"it is truncated or damaged: it ends at byte {len(content)}, inside the packet from {at} to {end}.",
            )
        if polarity:
            yield at, packet
        at = end


def _valid_events(path: Path, at: int, packet: Packet, word: NDArray[np.uint32]) -> NDArray[np.bool_]:
    keep = (word & 1).astype(np.bool_)
    if (marked := int(np.count_nonzero(keep))) != packet.valid:
        raise RecordingError(
            path,
            f"the packet at byte {at} marks {marked} events as valid, its header says {packet.valid}. It is damaged.",
        )
    return keep
