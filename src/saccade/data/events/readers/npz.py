"""`.npz` archives with the arrays t (us), x, y and p (0 or 1): what SpikingJelly makes, and easy to write.

    np.savez("wave.npz", t=t, x=x, y=y, p=p)

Read without unpickling, and without trusting the sizes that the archive claims: what a small file may grow to is
limited before anything is unpacked. The archive's checksums find flipped bytes.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.arrays import LONGEST_HEADER, read_header
from saccade.data.events.recording import Events, RecordingError, Size, check_events

NAMES = ("t", "x", "y", "p")
# A small archive may hold so many events; a larger one, so many for each of its bytes. Sound ones take bytes per event.
FEW_EVENTS, EVENTS_PER_BYTE = 2**22, 8
# Of the list of contents at the end of the archive; four arrays take less than 1,000.
LONGEST_LIST = 2**16
END_OF_LIST = struct.Struct("<4s4H2LH")


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    try:
        _check_list(path, content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            limit = max(FEW_EVENTS, EVENTS_PER_BYTE * len(content))
            t, x, y, p = (_array(path, archive, name, limit) for name in NAMES)
    except RecordingError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise RecordingError(path, f"it is no sound .npz archive with the arrays t, x, y, p ({error}).") from None
    if not len(t) == len(x) == len(y) == len(p):
        raise RecordingError(path, f"t, x, y, p have {len(t)}, {len(x)}, {len(y)}, {len(p)} entries, not equally many.")
    for name, values, limit in (("t", t, 2**62), ("x", x, 2**16), ("y", y, 2**16), ("p", p, 2)):
        wrong = (values < 0) | (values >= limit)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise RecordingError(path, f"{name}[{i}] is {values[i]}; it must be from 0 to {limit - 1}.")
    events = Events(t.astype(np.int64), x.astype(np.uint16), y.astype(np.uint16), p.astype(np.bool_), size)
    return check_events(path, events, lambda i: f"entry {i}")


def _check_list(path: Path, content: bytes) -> None:
    """RecordingError for a list of contents that would take long to read, or lies outside of the archive."""
    at = content.rfind(b"PK\5\6")
    if at < 0 or at + END_OF_LIST.size > len(content):
        raise zipfile.BadZipFile("it has no end")
    length = END_OF_LIST.unpack_from(content, at)[5]
    if length > LONGEST_LIST:
        raise RecordingError(path, f"its list of contents claims {length:,} bytes for four arrays. It is damaged.")


def _array(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> NDArray[np.integer]:
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RecordingError(path, f"its array {name} has a strange coding. It is damaged.")
    with archive.open(member) as file:
        count, dtype, start = _header(path, name, file.read(LONGEST_HEADER))
        wanted = start + count * dtype.itemsize
        if count > limit:
            raise RecordingError(
                path, f"its array {name} claims {count:,} entries; {limit:,} are the most for a file of its size."
            )
        if member.file_size != wanted:
            raise RecordingError(path, f"its array {name} has {member.file_size} bytes for {count} entries of {dtype}.")
    return np.frombuffer(archive.read(member), dtype, offset=start)


def _header(path: Path, name: str, beginning: bytes) -> tuple[int, np.dtype[Any], int]:
    """How many entries of which type an array has, and where they begin."""
    try:
        shape, _, dtype, start = read_header(beginning)
    except ValueError as error:
        raise RecordingError(path, f"its array {name} has no sound header ({error}).") from None
    if len(shape) != 1 or shape[0] < 0 or dtype.kind not in "iub":
        raise RecordingError(path, f"its array {name} is {dtype} of shape {shape}; one row of whole numbers is needed.")
    return shape[0], dtype, start
