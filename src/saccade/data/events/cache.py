"""From recordings on disk to a frame cache, once for every content and choice of frames.

The cache lies in `frames/<set>/<key>` below the root of the data sets, or below $SACCADE_CACHE. The key is a hash of
the recordings' names, labels, parts and content, of the frames asked for, and of the version of this code's output; so
nothing stale is ever read.

It may be stopped at any point, also by a kill or a power cut. Every file is written under another name, flushed and
renamed; each has a record with its hash beside it, by which a second run knows what it need not do again. The index
comes last. Two processes may prepare the same cache at once: a lock lets one work, and the other finds it done.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.lib import format as npy

from saccade.atomic import remove_leftovers, replacing, write_text
from saccade.data.events.fingerprint import Progress, content_hashes, file_hash
from saccade.data.events.frames import Clip, Counts, FrameSpec, smallest_type, to_frames
from saccade.data.events.readers import decode
from saccade.data.events.recording import Events, RecordingError, Size
from saccade.data.events.sets import EventSet, Recording
from saccade.data.events.splits import TEST, TRAIN, names_hash
from saccade.data.events.store import (
    FORMAT,
    INDEX,
    DamagedCacheError,
    FrameStore,
    index_hash,
    open_part,
    open_store,
    read_index,
)
from saccade.files import read_file, read_object

FRAMES = "frames"
# Beside each file of clips, until all are made.
RECORDS = "clips-*.json"
# Raise it when the same recordings and parameters give other frames than before.
OUTPUT_VERSION = 1
# A file of clips holds about this many counts: small enough to lose, large enough to read in one go.
COUNTS_PER_FILE = 2**25
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST)


EventsOf = Callable[["Plan", list[Recording]], Iterator[Events]]


@dataclass(frozen=True)
class Plan:
    """A cache to be: which recordings, which frames, where."""

    #: of the set
    name: str
    root: Path
    spec: FrameSpec
    sensor: Size
    class_names: tuple[str, ...]
    recordings: list[Recording]
    hashes: dict[Path, str]
    #: the events of recordings that share a path
    events_of: EventsOf

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, 2, H, W) of a clip."""
        return (self.spec.steps, 2, *(self.spec.frame_size or self.sensor))

    @property
    def clips_per_file(self) -> int:
        """How many recordings share a file of the cache."""
        return max(1, COUNTS_PER_FILE // int(np.prod(self.shape)))

    @cached_property
    def key(self) -> str:
        """Of content and parameters."""
        rows = [[r.name, r.label, r.part, r.group, r.window_us, self.hashes[r.path]] for r in self.recordings]
        said = [OUTPUT_VERSION, FORMAT, self.name, self.class_names, self.sensor, asdict(self.spec), rows]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]

    @property
    def folder(self) -> Path:
        """Where the cache lies."""
        return set_folder(self.root, self.name) / self.key

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each recording stands, by name."""
        return {recording.name: place for place, recording in enumerate(self.recordings)}

    def slices(self) -> Iterator[tuple[str, list[Recording]]]:
        """The files of the cache, and the recordings in each."""
        for number, first in enumerate(range(0, len(self.recordings), self.clips_per_file)):
            yield f"clips-{number:05d}.npy", self.recordings[first : first + self.clips_per_file]


def set_folder(root: Path, name: str) -> Path:
    """The folder of all caches of a set: below $SACCADE_CACHE, else below the root of the data sets."""
    return Path(os.environ.get("SACCADE_CACHE") or root) / FRAMES / name


def contents_path(root: Path, name: str) -> Path:
    """The file that remembers the hashes of a set's recordings."""
    return set_folder(root, name) / "contents.json"


def caches(root: Path, name: str) -> list[tuple[Path, dict[str, Any]]]:
    """The finished caches of a set and their indices; the clips themselves are not looked at."""
    folders = [path.parent for path in sorted(set_folder(root, name).glob(f"*/{INDEX}"))]
    return [(folder, index) for folder in folders if (index := _index_or_none(folder)) is not None]


def _index_or_none(folder: Path) -> dict[str, Any] | None:
    with suppress(DamagedCacheError):
        return read_index(folder)
    return None


def make_plan(event_set: EventSet, root: Path, spec: FrameSpec, progress: Progress | None = None) -> Plan:
    """Find the recordings and their content.

    Raises:
        FileNotFoundError: there are none; the message says which files go where.
        ValueError: frames larger than the sensor, or labels that cannot be read.
    """
    found = event_set.recordings(root)
    sensor = event_set.sensor(root)
    size = spec.frame_size or sensor
    if size[0] > sensor[0] or size[1] > sensor[1]:
        raise ValueError(f"Frames of (height, width) {size} are larger than the sensor of {event_set.name}, {sensor}.")
    hashes = content_hashes((r.path for r in found.recordings), contents_path(root, event_set.name), progress)
    return Plan(event_set.name, root, spec, sensor, found.class_names, found.recordings, hashes, read_recordings)


def prepare(plan: Plan, progress: Progress | None = None, workers: int = 2) -> FrameStore:
    """The cache of a plan, made if it is not there or damaged.

    Args:
        plan: see `make_plan`.
        progress: called with (recordings done, recordings in all).
        workers: threads that read and decode.

    Raises:
        RecordingError: a recording is empty or damaged; `saccade data check` lists all of them.
        ValueError: there is no room for the frames, or no right to write them.
    """
    if (store := _sound(plan.folder)) and not list(plan.folder.glob(RECORDS)):
        return store
    with _told_where(plan.folder):
        plan.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(plan.folder.with_suffix(".lock")):
            remove_leftovers(plan.folder)  # of killed runs: whoever is alive holds the lock
            if not _sound(plan.folder):
                _make(plan, progress, workers)
            for record in plan.folder.glob(RECORDS):
                record.unlink()
    return open_store(plan.folder)


@contextmanager
def _told_where(folder: Path) -> Iterator[None]:
    """A place that cannot be written to, or is full, with a word on what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ValueError(
            f"Frames cannot be written to {folder} ({error.strerror}). Make room there or the folder writable, or name "
            "another place for frames with the variable SACCADE_CACHE."
        ) from error


def _sound(folder: Path) -> FrameStore | None:
    with suppress(FileNotFoundError, NotADirectoryError, DamagedCacheError):
        return open_store(folder)
    return None


def _make(plan: Plan, progress: Progress | None, workers: int) -> None:
    done, records = 0, []
    with ThreadPoolExecutor(workers) as pool:
        for name, recordings in plan.slices():
            records.append(_finished(plan, name) or _write_file(plan, name, recordings, pool))
            done += len(recordings)
            if progress is not None:
                progress(done, len(plan.recordings))
    _write_index(plan, records)


def _finished(plan: Plan, name: str) -> dict[str, Any] | None:
    """The record of a file that an earlier run has finished, if it is sound."""
    try:
        record = read_object(_record_path(plan, name))
        open_part(plan.folder, record["file"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return record


def _record_path(plan: Plan, name: str) -> Path:
    return (plan.folder / name).with_suffix(".json")


def _write_file(plan: Plan, name: str, recordings: list[Recording], pool: ThreadPoolExecutor) -> dict[str, Any]:
    """Make one file of clips, then the record that says it is whole."""
    counts: Counts = np.zeros((len(recordings), *plan.shape), np.uint8)
    rows: list[dict[str, int]] = []
    by_path = [list(group) for _, group in groupby(recordings, key=lambda r: r.path)]  # what is cut from one file
    for clip, row in chain.from_iterable(pool.map(lambda group: _clips(plan, group), by_path)):
        wanted = smallest_type(int(clip.frames.max()))
        if wanted.itemsize > counts.itemsize:
            counts = counts.astype(wanted)
        counts[len(rows)] = clip.frames
        rows.append(row)
    path = plan.folder / name
    with replacing(path) as temporary, temporary.open("wb") as file:
        npy.write_array(file, counts, allow_pickle=False)
    entry = {"file": name, "bytes": path.stat().st_size, "shape": counts.shape, "type": str(counts.dtype)}
    record = {"file": {**entry, "sha256": file_hash(path)}, "rows": rows}
    write_text(_record_path(plan, name), json.dumps(record))
    return record


def read_recordings(plan: Plan, recordings: list[Recording]) -> Iterator[Events]:
    """The events of the recordings in one file."""
    path = recordings[0].path
    whole = decode(path, read_file(path, error=RecordingError), plan.sensor)
    for recording in recordings:
        events = whole if recording.window_us is None else whole.between(*recording.window_us)
        if not len(events):
            raise RecordingError(
                path, f"it holds no events in {recording.window_us} us, where {recording.name} should be."
            )
        yield events


def _clips(plan: Plan, recordings: list[Recording]) -> list[tuple[Clip, dict[str, int]]]:
    """The frames of recordings that share a path, and what is to be known of each."""
    clips = []
    for events in plan.events_of(plan, recordings):
        clip = to_frames(events, plan.spec)
        row = {
            "used": clip.used,
            "total": clip.total,
            "skipped": events.skipped,
            "backward_steps": events.backward_steps,
        }
        clips.append((clip, row))
    return clips


def _write_index(plan: Plan, records: list[dict[str, Any]]) -> None:
    rows = [row for record in records for row in record["rows"]]
    recordings = [
        {"name": r.name, "label": r.label, "part": r.part, "group": r.group, **row}
        for r, row in zip(plan.recordings, rows, strict=True)
    ]
    index = {
        "format": FORMAT,
        "set": plan.name,
        "key": plan.key,
        "frames": asdict(plan.spec),
        "sensor": plan.sensor,
        "shape": plan.shape,
        "class_names": plan.class_names,
        "clips_per_file": plan.clips_per_file,
        "split_sha256": {p: names_hash(r.name for r in plan.recordings if r.part == p) for p in (TRAIN, TEST)},
        "files": [record["file"] for record in records],
        "recordings": recordings,
    }
    plain = json.loads(json.dumps(index))
    write_text(plan.folder / INDEX, json.dumps({**plain, "sha256": index_hash(plain)}, indent=1))
