"""The data sets by name, and what a loaded one is.

A data set is registered with a function that loads it. What comes back is the same for all: `DataSplits`, with a
training part, an optional validation part taken from the training part, and the test part.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import Dataset

from saccade.data.augment import STANDARD, check_policy
from saccade.errors import unknown_name
from saccade.plugins import load_installed

# A slip in a number should not fill the machine.
MOST_STEPS, MOST_SIZE = 2**16, 2**13


@dataclass(frozen=True)
class DataInfo:
    """What a network must know about a data set."""

    name: str
    num_classes: int
    in_channels: int
    size: tuple[int, int]
    #: True: a sample is a sequence [T, C, H, W]; False: an image [C, H, W]
    temporal: bool
    class_names: tuple[str, ...]
    #: one line on origin and exactness, quoted beside every score
    note: str = ""


@dataclass(frozen=True)
class DataSplits:
    """Map-style data sets of `(float32 tensor, int label)`; the test part is never augmented."""

    info: DataInfo
    train: Dataset
    test: Dataset
    #: taken from the training part; None if no share was asked for
    validation: Dataset | None = None


@dataclass(frozen=True)
class DataRequest:
    """What a loader function is asked for.

    `root` is the folder that holds the data sets (None: the default one, see `default_root`), `steps` the T of
    temporal data, `size` the image side wanted (None: the data set's own), `augment` the policy by which the training
    part is augmented ("standard": the data set's own; "none"; see `list_policies`), `validation` the share of the
    training part to set aside (fixed split, the same for every seed), `symmetric` whether images come in [-1, 1], as
    generation wants them, instead of with zero mean and unit variance.
    """

    name: str
    root: Path | None = None
    steps: int = 4
    size: int | None = None
    augment: str = STANDARD
    validation: float = 0.0
    symmetric: bool = False

    @property
    def root_or_default(self) -> Path:
        """The folder that holds the data sets."""
        return default_root() if self.root is None else Path(self.root)


def default_root() -> Path:
    """The folder that holds the data sets: $SACCADE_DATA, or ./data."""
    return Path(os.environ.get("SACCADE_DATA") or "data")


LoadFunction = Callable[[DataRequest], DataSplits]


@dataclass(frozen=True)
class CatalogEntry:
    """A registered data set: how to load it, what it is, and where its files are looked for below the root."""

    load: LoadFunction
    summary: str
    #: relative to the root, any one of them will do; none: needs no files
    folders: tuple[str, ...]
    #: its samples are sequences, e.g. of event counts; otherwise images
    temporal: bool = False
    #: all layouts that are taken, in words, for a root
    where: Callable[[Path], str] | None = None

    def found_in(self, root: Path) -> str:
        """Whether its files lie below the root, in words."""
        if not self.folders:
            return "built in"
        found = next((folder for folder in self.folders if (root / folder).exists()), None)
        return f"not found: {' or '.join(self.folders)}" if found is None else "found"


CATALOG: dict[str, CatalogEntry] = {}
"""The registered data sets by name."""


def register_data(
    name: str,
    summary: str,
    folder: str | tuple[str, ...] | None,
    temporal: bool = False,
    where: Callable[[Path], str] | None = None,
) -> Callable[[LoadFunction], LoadFunction]:
    """Decorator for a loader function: make a data set available under `name`.

    Args:
        name: what `load_data` and `--data` take.
        summary: one line for `saccade data list`.
        folder: where its files lie below the root of all data sets, or several places of which one will do; None: it
            needs no files.
        temporal: its samples are sequences [T, C, H, W]; otherwise images [C, H, W].
        where: says for a root which files go where; what `saccade data list NAME` prints.

    Raises:
        ValueError: the name is taken.
    """
    folders = (folder,) if isinstance(folder, str) else folder or ()

    def register(load: LoadFunction) -> LoadFunction:
        if name in CATALOG:
            raise ValueError(f"There is a data set {name!r} already ({CATALOG[name].summary}). Choose another name.")
        CATALOG[name] = CatalogEntry(load, summary, folders, temporal, where)
        return load

    return register


def list_data() -> list[str]:
    """The names that `load_data` takes."""
    load_installed()
    return sorted(CATALOG)


def check_data(name: str) -> None:
    """ValueError with the nearest names for a data set that is not registered."""
    if name not in list_data():
        raise unknown_name("data set", name, CATALOG)


def load_data(request: DataRequest) -> DataSplits:
    """Load a data set.

    Raises:
        ValueError: unknown name (with the nearest ones), a request that the data set cannot meet, or unreadable files.
        FileNotFoundError: files are missing; the message says which go where.
    """
    check_data(request.name)
    check_policy(request.augment)
    if not 0 <= request.validation < 1:
        raise ValueError(f"validation is a share of the training part, from 0 up to 1, not {request.validation}.")
    if not 1 <= request.steps <= MOST_STEPS or not (request.size is None or 1 <= request.size <= MOST_SIZE):
        raise ValueError(
            f"steps must be from 1 to {MOST_STEPS:,} and size from 1 to {MOST_SIZE:,}, but are steps={request.steps}, "
            f"size={request.size}."
        )
    entry = CATALOG[request.name]
    if request.symmetric and entry.temporal:
        raise ValueError(f"Images in [-1, 1] were asked for, but {request.name!r} holds sequences. Choose images.")
    splits = entry.load(request)
    if splits.info.temporal != entry.temporal:
        raise ValueError(
            f"{request.name!r} is registered with temporal={entry.temporal}, but once loaded it says "
            f"temporal={splits.info.temporal}. Say the same to `register_data`."
        )
    return splits
