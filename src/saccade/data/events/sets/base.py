"""What an event data set is: where its files lie, which recordings they hold, and to which part each belongs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from saccade.data.events.recording import Size
from saccade.files import check_tree


@dataclass(frozen=True)
class Recording:
    """One sample: a file, or the part of a file between two times.

    `name` identifies it on every machine, whatever the layout on disk: splits and their hashes speak of names.
    Recordings of one `group` (a person) never come to both sides of a split.
    """

    name: str
    path: Path
    label: int
    part: str
    group: str = ""
    window_us: tuple[int, int] | None = None


@dataclass(frozen=True)
class Found:
    """The recordings of a set in file order, class by class, and the names of its classes."""

    recordings: list[Recording]
    class_names: tuple[str, ...]
    #: what speaks against the tree on disk, in sentences
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """A file that the set is published in, by name and MD5; with a direct link where there is one."""

    name: str
    md5: str
    url: str = ""


@dataclass(frozen=True)
class EventSet:
    """A published set of recordings.

    `folder` is looked for below the root of all data sets. `find` takes it and lists the recordings in any layout that
    users have: the unpacked archives, or SpikingJelly's tree of converted `.npz` files (`events_np`).
    """

    name: str
    #: one line: what it is
    summary: str
    folder: str
    #: of the sensor; None: the folder says it (see `find_size`)
    size: Size | None
    #: its own augmentation policy
    policy: str
    find: Callable[[Path], Found]
    #: how the unpacked files lie below `folder`
    layout: str
    archives: tuple[Archive, ...] = ()
    page: str = ""
    find_size: Callable[[Path], Size] | None = None

    def sensor(self, root: Path) -> Size:
        """(height, width) of the sensor; `root` is the folder of all data sets."""
        if self.size is not None:
            return self.size
        assert self.find_size is not None
        return self.find_size(root / self.folder)

    def recordings(self, root: Path) -> Found:
        """What is there.

        Raises:
            FileNotFoundError: nothing is; the message says which files go where.
            ValueError: a pipe, a device or a link out of the folder among the recordings, or a name that is no text.
        """
        folder = root / self.folder
        found = self.find(folder) if folder.is_dir() else Found([], ())
        if not found.recordings:
            raise FileNotFoundError(f"There are no recordings of {self.name} in {folder}.\n{self.where(root)}")
        check_tree((recording.path for recording in found.recordings), folder)
        return found

    def where(self, root: Path) -> str:
        """Which files go where, with their hashes."""
        folder = root / self.folder
        lines = [f"Its files should lie as {folder}/{self.layout}"]
        if self.archives:
            lines.append(f"or put these archives into {folder}, and `saccade data prepare {self.name}` unpacks them:")
            lines += [f"  {a.name}  MD5 {a.md5}  {a.url or self.page}" for a in self.archives]
        lines.append("Another place is said with --data-root DIR or the variable SACCADE_DATA.")
        return "\n".join(lines)


def folders_in(folder: Path) -> list[Path]:
    """The folders inside a folder, by name; hidden ones left out."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")) if folder.is_dir() else []


def files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files with one of the suffixes, in file order: by name, as SpikingJelly and torchvision see them."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))


def first_tree(
    folder: Path, candidates: tuple[tuple[str, str], ...], marks: tuple[str, ...]
) -> tuple[Path, str] | None:
    """The first (subfolder, suffix) of the candidates in which one of the folders or files `marks` (glob) is found."""
    for below, suffix in candidates:
        tree = folder / below
        if tree.is_dir() and any(next(tree.glob(mark), None) for mark in marks):
            return tree, suffix
    return None
