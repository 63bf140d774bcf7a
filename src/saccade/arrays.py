"""Archives of arrays (`.npz`) that may come from anybody: sizes are looked at before anything is unpacked."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from saccade.files import FileError, brief, read_file

#: the most that the arrays of one archive take together
MOST_ARRAY_BYTES = 2**29
MOST_ARRAYS = 2**12
LONGEST_HEADER = 10_240


def read_arrays(path: Path, most: int = MOST_ARRAY_BYTES) -> dict[str, np.ndarray]:
    """All arrays of an archive by name; nothing is unpickled, and checksums are looked at.

    Raises:
        FileError: no such archive, a damaged one, or one whose arrays would take more bytes than `most`.
        FileNotFoundError: there is no such file.
    """
    content = read_file(path, most)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            claimed = sum(member.file_size for member in members)
            if len(members) > MOST_ARRAYS or claimed > most:
                raise FileError(
                    path,
                    f"its {len(members):,} arrays claim {claimed:,} bytes, and {most:,} are the most that is read.",
                )
            return {member.filename.removesuffix(".npy"): _array(path, archive, member) for member in members}
    except FileError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise FileError(path, f"it is no sound .npz archive ({brief(error)}).") from None


def read_header(beginning: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Of an array's first `LONGEST_HEADER` bytes: its shape, whether columns come first, its type, where numbers begin.

    Raises:
        ValueError: there is no sound header.
    """
    file = io.BytesIO(beginning)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        return *read(file), file.tell()
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        beginning = file.read(LONGEST_HEADER)
    try:
        shape, in_columns, dtype, start = read_header(beginning)
    except ValueError as error:
        raise FileError(path, f"its array {brief(member.filename)!r} has no sound header ({brief(error)}).") from None
    count = math.prod(shape)
    if dtype.hasobject or min(shape, default=0) < 0 or member.file_size != start + count * dtype.itemsize:
        raise FileError(
            path, f"its array {brief(member.filename)!r} is not the {dtype} {list(shape)} that it claims to be."
        )
    flat = np.frombuffer(bytearray(archive.read(member)), dtype, count, start)  # of bytes it could not be written to
    return flat.reshape(shape, order="F" if in_columns else "C")
