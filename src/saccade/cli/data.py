"""saccade data: which data sets there are, and recordings of event cameras made ready, checked and drawn."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from saccade.cli.arguments import parse
from saccade.errors import unknown_name
from saccade.tables import fold, format_table

if TYPE_CHECKING:
    from saccade.data.events import FrameSpec

Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]


@dataclass(kw_only=True)
class Place:
    """Where the data sets are."""

    data_root: Path | None = None
    """Folder that holds the data sets; default: $SACCADE_DATA, or ./data."""

    @property
    def root(self) -> Path:
        """That folder."""
        from saccade.data import default_root

        return default_root() if self.data_root is None else self.data_root


@dataclass(kw_only=True)
class Frames:
    """How recordings are cut into frames."""

    steps: int = 10
    """Frames per recording, T."""
    by: Literal["count", "time"] = "count"
    """Frames of equally many events, or of equally long time."""
    window_us: int | None = None
    """Length of a frame in microseconds, with --by time; what comes later is not used. Default: the whole recording."""
    size: int | None = None
    """Side of the frames in pixels; coordinates are binned. Default: the sensor's."""

    def spec(self) -> FrameSpec:
        """As the library takes it."""
        from saccade.data.events import FrameSpec

        return FrameSpec(self.steps, self.by, self.window_us, self.size)


@dataclass(kw_only=True)
class ListArguments(Place):
    """What to list."""

    name: Name = ""
    """One data set, to see where its files go, and its frame caches; without it, all are listed."""


@dataclass(kw_only=True)
class PrepareArguments(Frames, Place):
    """What to prepare."""

    name: Name
    """A set of recordings; see `saccade data list`."""
    download: bool = False
    """Fetch the archives first, where a link leads to them."""
    workers: int = 2
    """Threads that read and decode."""


@dataclass(kw_only=True)
class CheckArguments(Place):
    """What to check."""

    name: Name
    """A set of recordings; see `saccade data list`."""


@dataclass(kw_only=True)
class ShowArguments(Frames, Place):
    """What to draw."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME|FILE")]
    """A set of recordings, or the file of one recording."""
    recording: str | None = None
    """Which recording of the set, as `saccade data check` names it; default: the first."""
    sensor: tuple[int, int] | None = None
    """Height and width of the sensor, for a file that does not say."""
    out: Path | None = None
    """Where the picture goes: .png, .svg or .pdf; default: NAME.png in this folder."""


def main(words: Sequence[str]) -> int:
    """Find the verb after `data`, and run it."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise unknown_name("command after `saccade data`", verb, VERBS)
    return VERBS[verb][0](rest)


def list_sets(words: Sequence[str]) -> int:
    """All data sets, or where the files of one go, in every layout."""
    arguments = parse(ListArguments, words, "saccade data list", text=VERBS["list"][1])

    from saccade.data import CATALOG, check_data, list_data
    from saccade.data.augment import POLICIES

    root = arguments.root
    if arguments.name:
        check_data(arguments.name)
    chosen = [arguments.name] if arguments.name else list_data()
    rows = [(name, CATALOG[name].found_in(root), CATALOG[name].summary) for name in chosen]
    print(fold(f"In {root.resolve()} (change it with --data-root or $SACCADE_DATA):\n{format_table(rows)}"))
    if arguments.name:
        if (where := CATALOG[arguments.name].where) is not None:
            print(f"\n{where(root)}")
        if CATALOG[arguments.name].temporal:
            _list_caches(arguments.name, root)
    else:
        more = "`saccade data list NAME` says which files go where, in every layout that is taken, and their hashes."
        print(f"\n{fold(more)}")
        policies = [(name, policy.summary) for name, policy in sorted(POLICIES.items())]
        print(f"\nAugmentation policies, besides standard (the data set's own) and none:\n{format_table(policies)}")
    return 0


def prepare_set(words: Sequence[str]) -> int:
    """Fetch, unpack, and make the frame cache."""
    arguments = parse(PrepareArguments, words, "saccade data prepare", text=VERBS["prepare"][1])

    from saccade.data.events import event_set, make_plan, prepare
    from saccade.data.events.archives import download_all, unpack_all
    from saccade.data.events.load import note

    chosen, root, spec = event_set(arguments.name), arguments.root, arguments.spec()
    if arguments.download:
        with _bar("Fetching", "bytes") as report:
            download_all(chosen, root, lambda name, done, total: report(done, total))
    for archive in unpack_all(chosen, root):
        print(f"Unpacked {archive}.")
    with _bar("Hashing files") as report:
        plan = make_plan(chosen, root, spec, report)
    with _bar("Making frames") as report:
        store = prepare(plan, report, max(1, arguments.workers))
    T, C, H, W = store.shape
    kinds = ", ".join(sorted({str(part.dtype) for part in store.parts}))
    print(f"{chosen.name}: {note(store)}.")
    print(f"Frames [T, C, H, W] = [{T}, {C}, {H}, {W}] as {kinds}, {store.nbytes / 2**20:,.1f} MiB, in {store.folder}")
    return 0


def check(words: Sequence[str]) -> int:
    """Read everything and say what is wrong; exit code 1 if that spoils training or a score."""
    arguments = parse(CheckArguments, words, "saccade data check", text=VERBS["check"][1])

    from saccade.data.events import event_set
    from saccade.data.events.check import check_set

    with _bar("Reading") as report:
        result = check_set(event_set(arguments.name), arguments.root, report)
    parts = ", ".join(f"{count:,} {part}" for part, count in result.recordings.items())
    print(f"{result.name}: {parts} recordings, {result.events:,} events.")
    for finding in result.findings:
        print(f"  {finding.level + ':':8} {finding.what}")
    if result.sound:
        print("No errors.")
        return 0
    errors = sum(finding.level == "error" for finding in result.findings)
    print(f"{errors} error{'s' if errors > 1 else ''}: mend {'them' if errors > 1 else 'it'} before training on this.")
    return 1


def show(words: Sequence[str]) -> int:
    """Draw one recording as frames and as a cloud in space and time."""
    arguments = parse(ShowArguments, words, "saccade data show", text=VERBS["show"][1])

    from saccade.data.events import EVENT_SETS, event_set, read_events
    from saccade.data.events.show import SUFFIXES, draw_recording

    file = Path(arguments.name)
    if arguments.name not in EVENT_SETS and file.is_file():
        events, title = read_events(file, arguments.sensor), file.name
        if events.size is None:
            raise ValueError(f"{file} does not say how large its sensor is. Say it with --sensor HEIGHT WIDTH.")
    else:
        events, title = _one_of(event_set(arguments.name), arguments.root, arguments.recording)
    out = arguments.out or Path(f"{title.replace('/', '_')}.png")
    if out.suffix not in SUFFIXES:
        raise ValueError(f"The picture must be named with one of {', '.join(SUFFIXES)}, not {out.name}.")
    draw_recording(events, arguments.spec(), title, out)
    print(f"{title}: {len(events):,} events in {events.duration_us / 1e6:.3f} s, drawn in {out}")
    return 0


#: verb -> (function, one line of help)
VERBS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "list": (list_sets, "List the data sets; for one, say which files go where."),
    "prepare": (prepare_set, "Make the frame cache of a set of recordings."),
    "check": (check, "Read a set of recordings and say what is wrong with it."),
    "show": (show, "Draw a recording as frames and in space and time."),
}


def _help() -> str:
    lines = [f"  {verb:8} {text}" for verb, (_, text) in VERBS.items()]
    return "\n".join(["usage: saccade data COMMAND [ARGUMENTS]", "", *lines, "", "More: saccade data COMMAND --help"])


def _list_caches(name: str, root: Path) -> None:
    from saccade.data.events.cache import caches

    for folder, index in caches(root, name):
        (T, _, H, W), count = index["shape"], len(index["recordings"])
        print(f"\nFrames: T={T} by {index['frames']['by']}, {H}x{W}, of {count:,} recordings, in {folder}")


def _one_of(chosen: Any, root: Path, name: str | None) -> tuple[Any, str]:
    """The events of one recording of a set, and its title."""
    from saccade.data.events import read_events

    recordings = {recording.name: recording for recording in chosen.recordings(root).recordings}
    if name is not None and name not in recordings:
        near = difflib.get_close_matches(name, recordings, cutoff=0.3)
        raise ValueError(f"{chosen.name} has no recording {name!r}; near it are {', '.join(near) or 'none'}.")
    recording = recordings[name or next(iter(recordings))]
    events = read_events(recording.path, chosen.sensor(root))
    if recording.window_us is not None:
        events = events.between(*recording.window_us)
    return events, f"{chosen.name} {recording.name}"


@contextmanager
def _bar(what: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while something takes long; the function in it is called with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)
