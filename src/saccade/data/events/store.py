"""A finished frame cache, checked and memory-mapped.

A cache is a folder with `index.json` and files `clips-00000.npy`, ... of [n, T, 2, H, W] counts, each in the smallest
unsigned type that holds its counts. The index is written last: a folder without it is unfinished, and is no cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from saccade.data.events.fingerprint import file_hash
from saccade.files import FileError, read_object

INDEX = "index.json"
FORMAT = 1
# Names of the files of clips, their types, and what is known of every recording.
PART = re.compile(r"clips-[0-9]{5,}\.npy")
TYPES = ("uint8", "uint16", "uint32")
COLUMNS = ("name", "label", "part", "group", "used", "total", "skipped", "backward_steps")


class DamagedCacheError(ValueError):
    """A frame cache is not what was written."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(
            f"The frame cache {folder} is damaged: {problem} Run `saccade data prepare` again; it makes a new one."
        )


@dataclass(frozen=True)
class FrameStore:
    """The clips of a set, in the order of its recordings."""

    folder: Path
    index: dict[str, Any]
    parts: list[NDArray[np.unsignedinteger]]

    def __len__(self) -> int:
        return len(self.index["recordings"])

    def __reduce__(self) -> tuple[Any, ...]:
        """For a loader's workers: they map the files that this process has checked, instead of getting a copy."""
        return _map_again, (self.folder, self.index)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, 2, H, W) of a clip."""
        return tuple(self.index["shape"])

    @property
    def nbytes(self) -> int:
        """Of all clips, as stored."""
        return sum(part.nbytes for part in self.parts)

    def clip(self, row: int) -> NDArray[np.unsignedinteger]:
        """The counts [T, 2, H, W] of one recording: a view of the file."""
        part, inside = divmod(row, self.index["clips_per_file"])
        return self.parts[part][inside]

    def column(self, name: str) -> list[Any]:
        """One property of all recordings, one of `COLUMNS`."""
        return [recording[name] for recording in self.index["recordings"]]

    @property
    def share_used(self) -> float:
        """Share of all events that is in the frames."""
        return sum(self.column("used")) / max(1, sum(self.column("total")))


def open_store(folder: Path) -> FrameStore:
    """Open a cache and check it: the index against its own hash, every file against its size, shape, type and hash.

    Raises:
        FileNotFoundError: there is no finished cache.
        DamagedCacheError: it is not what was written.
    """
    index = read_index(folder)
    with ThreadPoolExecutor() as pool:  # hashing lets other threads run
        parts = list(pool.map(lambda entry: open_part(folder, entry), index["files"]))
    return FrameStore(folder, index, parts)


def _map_again(folder: Path, index: dict[str, Any]) -> FrameStore:
    return FrameStore(folder, index, [npy.open_memmap(folder / entry["file"], mode="r") for entry in index["files"]])


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a cache, checked against the hash that it holds of itself."""
    try:
        index = read_object(folder / INDEX)
    except FileError as error:
        raise DamagedCacheError(folder, f"{INDEX}: {error.problem}") from None
    if index.pop("sha256", None) != index_hash(index):
        raise DamagedCacheError(folder, f"{INDEX} does not match its own hash.")
    if index.get("format") != FORMAT:
        raise DamagedCacheError(folder, f"it has the format {index.get('format')!r}, but {FORMAT} is read.")
    if not _is_whole(index):
        raise DamagedCacheError(folder, f"{INDEX} does not say what an index says.")
    return index


def _is_whole(index: dict[str, Any]) -> bool:
    """Whether an index that matches its own hash, which anybody can compute, holds what is read from it."""
    try:
        steps, polarities, height, width = shape = index["shape"]
        per_file, files, recordings = index["clips_per_file"], index["files"], index["recordings"]
        counts = [entry["shape"][0] for entry in files]
        return (
            all(type(n) is int and n > 0 for n in (steps, height, width, per_file, *counts))
            and polarities == 2
            and all(entry["shape"][1:] == shape for entry in files)
            and all(PART.fullmatch(entry["file"]) and entry["type"] in TYPES for entry in files)
            and all(type(entry["bytes"]) is int and isinstance(entry["sha256"], str) for entry in files)
            and sum(counts) == len(recordings)
            and all(n == per_file for n in counts[:-1])
            and all(0 <= r["label"] < len(index["class_names"]) and {*COLUMNS} <= {*r} for r in recordings)
            and all(
                isinstance(name, str) for name in (index["set"], *index["class_names"], *index["split_sha256"].values())
            )
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return False


def index_hash(index: dict[str, Any]) -> str:
    """SHA-256 of an index without its own hash."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def open_part(folder: Path, entry: dict[str, Any]) -> NDArray[np.unsignedinteger]:
    """One file of clips, checked against its entry {file, bytes, shape, type, sha256}."""
    path = folder / entry["file"]
    if not path.is_file():
        raise DamagedCacheError(folder, f"{path.name} is missing.")
    if path.stat().st_size != entry["bytes"]:
        raise DamagedCacheError(folder, f"{path.name} has {path.stat().st_size} bytes, not {entry['bytes']}.")
    if file_hash(path) != entry["sha256"]:
        raise DamagedCacheError(folder, f"the content of {path.name} has changed.")
    try:
        clips = npy.open_memmap(path, mode="r")
    except (ValueError, SyntaxError, TypeError, OSError, RecursionError, MemoryError) as error:
        raise DamagedCacheError(folder, f"{path.name} is no array ({error}).") from None
    if list(clips.shape) != entry["shape"] or str(clips.dtype) != entry["type"]:
        raise DamagedCacheError(folder, f"{path.name} holds {clips.dtype} {list(clips.shape)}.")
    return clips
