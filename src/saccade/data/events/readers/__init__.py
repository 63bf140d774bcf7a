"""Recordings from files: one reader per container, one function for all.

    events = read_events("Train/3/00008.bin", size=(34, 34))

What cannot be read is refused with a `RecordingError` (a ValueError) that names the file, what is wrong and where.
Damage that a container has no means to show (a flipped bit in a time) reads as what it says.
"""

from __future__ import annotations

from pathlib import Path

from saccade.data.events.readers import aedat2, aedat4, aedat31, atis, npz, prophesee
from saccade.data.events.recording import Events, RecordingError, Size
from saccade.files import read_file

__all__ = ["SUFFIXES", "decode", "read_events"]

READERS = {".bin": atis.read, ".dat": prophesee.read, ".npz": npz.read}
AEDAT_READERS = {b"2.": aedat2.read, b"3.1": aedat31.read, b"4.": aedat4.read}
AEDAT = b"#!AER-DAT"
SUFFIXES = (".aedat", ".aedat4", *READERS)


def read_events(path: Path | str, size: Size | None = None) -> Events:
    """All events of a recording: `.bin` (ATIS), `.aedat` (2.0, 3.1, 4), `.aedat4`, `.dat` (Prophesee), `.npz`.

    Args:
        path: the file.
        size: (height, width) of the sensor, for files that do not say it. Events outside are an error.

    Raises:
        RecordingError: unknown, empty, truncated or damaged, too large, no file, or for another sensor.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    return decode(path, read_file(path, error=RecordingError), size)


def decode(path: Path, content: bytes, size: Size | None) -> Events:
    """`read_events` for a file whose bytes are at hand."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise RecordingError(
            path, f"its name should end in {', '.join(SUFFIXES)}. Convert it, e.g. to .npz with t, x, y, p."
        )
    if not content:
        raise RecordingError(path, "it is empty (0 bytes). Unpack or download it again.")
    is_aedat = content.startswith(AEDAT)
    if is_aedat != suffix.startswith(".aedat"):
        begins = "begins" if is_aedat else "does not begin"
        raise RecordingError(path, f"it {begins} with {AEDAT.decode()}, which belongs to .aedat files. Is it misnamed?")
    if not is_aedat:
        return READERS[suffix](path, content, size)
    version = content[len(AEDAT) : len(AEDAT) + 3]
    for start, read in AEDAT_READERS.items():
        if version.startswith(start):
            return read(path, content, size)
    raise RecordingError(path, f"it says AEDAT version {version!r}; 2.0, 3.1 and 4 are what is read.")
