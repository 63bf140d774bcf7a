"""What is wrong with a set on disk, before anybody trains on it. Every recording is read."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from saccade.data.events.cache import contents_path
from saccade.data.events.fingerprint import Progress, content_hashes
from saccade.data.events.readers import decode
from saccade.data.events.recording import Events, RecordingError, Size
from saccade.data.events.sets import EventSet, Found, Recording
from saccade.data.events.splits import TEST, TRAIN, names_hash, read_split, split_names
from saccade.files import read_file

Level = Literal["error", "warning", "note"]
# A recording of less than this share of the usual length is probably cut short.
SHORT = 0.5
# The largest class may be this many times the smallest before it is worth a word.
IMBALANCE = 1.5
# So many files are named in a finding; the others are counted.
NAMED = 5


@dataclass(frozen=True)
class Finding:
    """Something to know: an error spoils training or a score, a warning may, a note does not."""

    level: Level
    what: str


@dataclass(frozen=True)
class Measured:
    """What reading a recording told."""

    events: int
    duration_us: int
    backward_steps: int
    skipped: int


@dataclass(frozen=True)
class Report:
    """The findings, and the number of recordings and events behind them."""

    name: str
    recordings: dict[str, int]
    events: int
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        """No errors."""
        return all(finding.level != "error" for finding in self.findings)


def check_set(event_set: EventSet, root: Path, progress: Progress | None = None) -> Report:
    """Read every recording and look at the set as a whole.

    Finds recordings that are missing, empty, truncated or damaged, shorter than the rest, or twice there; recordings
    or people on both sides of the split; classes that are missing or much larger than others; and says whether the
    split is the published one.

    Raises:
        FileNotFoundError: there are no recordings at all; the message says which files go where.
    """
    found = event_set.recordings(root)
    sensor = event_set.sensor(root)
    hashes = content_hashes((r.path for r in found.recordings), contents_path(root, event_set.name))
    measured: dict[str, Measured] = {}
    findings = [Finding("warning", remark) for remark in found.remarks]
    groups = [list(group) for _, group in groupby(found.recordings, key=lambda r: r.path)]
    done = 0
    for group in groups:
        findings += _read(group, sensor, measured)
        done += len(group)
        if progress is not None:
            progress(done, len(found.recordings))
    findings += [
        *_lengths(found.recordings, measured),
        *_clocks(measured),
        *_duplicates(found.recordings, hashes),
        *_overlaps(found.recordings),
        *_classes(found),
        *_gaps(found.recordings),
        *_split(event_set, found.recordings),
    ]
    counts = Counter(r.part for r in found.recordings)
    return Report(event_set.name, dict(counts), sum(m.events for m in measured.values()), findings)


def _read(group: list[Recording], sensor: Size, measured: dict[str, Measured]) -> Iterator[Finding]:
    """Read the recordings of one file."""
    path = group[0].path
    try:
        whole = decode(path, read_file(path, error=RecordingError), sensor)
    except RecordingError as error:
        yield Finding("error", str(error))
        return
    for recording in group:
        events = whole if recording.window_us is None else whole.between(*recording.window_us)
        if not len(events):
            yield Finding("error", f"{recording.name} holds no events: {path}, {recording.window_us} us.")
        measured[recording.name] = _measure(events)


def _measure(events: Events) -> Measured:
    return Measured(len(events), events.duration_us, events.backward_steps, events.skipped)


def _lengths(recordings: list[Recording], measured: dict[str, Measured]) -> Iterator[Finding]:
    durations = {r.name: measured[r.name].duration_us for r in recordings if r.name in measured}
    if not durations or any(r.window_us for r in recordings):
        return  # gestures last as long as they last
    usual = statistics.median(durations.values())
    short = [name for name, duration in durations.items() if duration < SHORT * usual]
    if short:
        yield Finding("warning", f"{_named(short)} last less than half of the usual {usual / 1e6:.2f} s. Cut short?")


def _clocks(measured: dict[str, Measured]) -> Iterator[Finding]:
    back = [name for name, m in measured.items() if m.backward_steps]
    if back:
        yield Finding(
            "warning", f"In {_named(back)} the clock goes back. Frames by time put the events in order first."
        )
    skipped = sum(m.skipped for m in measured.values())
    if skipped:
        yield Finding(
            "note", f"{skipped:,} events are marked as invalid by the files, or have no pixel, and are not used."
        )


def _duplicates(recordings: list[Recording], hashes: dict[Path, str]) -> Iterator[Finding]:
    by_content = defaultdict(set)
    for recording in recordings:
        by_content[hashes[recording.path]].add(recording.path)
    part = {r.path: r.part for r in recordings}
    for paths in by_content.values():
        if len(paths) > 1:
            leak = len({part[p] for p in paths}) > 1
            where = "on both sides of the split" if leak else "more than once"
            yield Finding(
                "error" if leak else "warning", f"The same content is there {where}: {_named(map(str, paths))}."
            )


def _overlaps(recordings: list[Recording]) -> Iterator[Finding]:
    names = Counter(r.name for r in recordings)
    if repeated := [name for name, count in names.items() if count > 1]:
        yield Finding("error", f"{_named(repeated)} are there more than once under the same name.")
    sides = defaultdict(set)
    for recording in recordings:
        sides[recording.group or recording.name].add(recording.part)
    if both := [name for name, parts in sides.items() if len(parts) > 1]:
        yield Finding("error", f"{_named(both)} are on both sides of the split.")


def _classes(found: Found) -> Iterator[Finding]:
    for part in (TRAIN, TEST):
        counts = Counter(r.label for r in found.recordings if r.part == part)
        missing = [name for label, name in enumerate(found.class_names) if not counts[label]]
        if missing:
            yield Finding("error", f"The {part} part has no recordings of {_named(missing)}.")
        elif max(counts.values()) > IMBALANCE * min(counts.values()):
            (most, many), (least, few) = max(counts.items(), key=_count), min(counts.items(), key=_count)
            yield Finding(
                "note",
                f"The classes of the {part} part are not of one size: {many} of {found.class_names[most]}, "
                f"{few} of {found.class_names[least]}.",
            )


def _count(item: tuple[int, int]) -> int:
    return item[1]


def _gaps(recordings: list[Recording]) -> Iterator[Finding]:
    """Numbers that are left out in a class whose files are numbered one by one."""
    if not all(re.fullmatch(r".*/image_\d+", r.name) for r in recordings):
        return
    numbers = defaultdict(set)
    for recording in recordings:
        prefix, _, number = recording.name.rpartition("_")
        numbers[prefix].add(int(number))
    gaps = [f"{p}_{n:04d}" for p, there in numbers.items() for n in sorted(set(range(1, max(there))) - there)]
    if gaps:
        yield Finding("warning", f"{_named(gaps)} are missing, though later numbers are there.")


def _split(event_set: EventSet, recordings: list[Recording]) -> Iterator[Finding]:
    """Whether the tree on disk is the published set with the published split."""
    hashes = {part: names_hash(r.name for r in recordings if r.part == part) for part in (TRAIN, TEST)}
    brief = f"{hashes[TRAIN][:8]}/{hashes[TEST][:8]}"
    try:
        split = read_split(event_set.name)
    except FileNotFoundError:
        yield Finding("note", f"The split is your own; its hashes are {brief}.")
        return
    counts = Counter(r.part for r in recordings)
    if all(split[part]["sha256"] == hashes[part] for part in (TRAIN, TEST)):
        yield Finding("note", f"All recordings of the published set are there, split as published ({brief}).")
        return
    names = split_names(event_set.name)
    if names is not None:
        missing = sorted(names - {r.name for r in recordings})
        yield Finding(
            "warning", f"{_named(missing)} are missing. The rest is split as published; its hashes are {brief}."
        )
        return
    for part in (TRAIN, TEST):
        wanted = split[part]["recordings"]
        if wanted is not None and wanted != counts[part]:
            yield Finding("warning", f"The {part} part has {counts[part]:,} of {wanted:,} recordings; hashes: {brief}.")
    if split.get("recordings", len(recordings)) != len(recordings):
        yield Finding(
            "warning",
            f"There are {len(recordings):,} of {split['recordings']:,} recordings, so the first 90 % of each class are "
            f"not those of the whole set; hashes: {brief}.",
        )
    elif all(split[part]["recordings"] in (None, counts[part]) for part in (TRAIN, TEST)):
        yield Finding("note", f"As many recordings as published, split by the published rule; hashes: {brief}.")


def _named(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
