"""`.npz` archives with the arrays t (us), x, y and p (0 or 1): what SpikingJelly makes, and easy to write.

    np.savez("wave.npz", t=t, x=x, y=y, p=p)

Read without unpickling, and without trusting the sizes that the archive claims: a small damaged file cannot ask for all
memory. The archive's checksums find flipped bytes.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from saccade.data.events.recording import Events, RecordingError, Size, check_events

NAMES = ("t", "x", "y", "p")
# What a compressed archive may grow by: deflate reaches about 1,000 on zeros.
LARGEST_GROWTH = 1100


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            t, x, y, p = (_array(path, archive, name, len(content)) for name in NAMES)
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


def _array(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> NDArray[np.integer]:
    member = archive.getinfo(f"{name}.npy")
    if member.file_size > LARGEST_GROWTH * limit or member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise RecordingError(
            path, f"its array {name} claims {member.file_size} bytes, or a strange coding. It is damaged."
        )
    data = io.BytesIO(archive.read(member))
    try:
        version = npy.read_magic(data)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(data)
    except (ValueError, SyntaxError, TypeError) as error:
        raise RecordingError(path, f"its array {name} has no sound header ({error}).") from None
    if len(shape) != 1 or dtype.kind not in "iub":
        raise RecordingError(path, f"its array {name} is {dtype} of shape {shape}; one row of whole numbers is needed.")
    rest = data.read()
    if len(rest) != shape[0] * dtype.itemsize:
        raise RecordingError(path, f"its array {name} has {len(rest)} bytes for {shape[0]} entries of {dtype}.")
    return np.frombuffer(rest, dtype)
