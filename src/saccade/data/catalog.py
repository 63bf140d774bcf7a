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

from saccade.errors import unknown_name
from saccade.plugins import load_installed


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
    temporal data, `size` the image side wanted (None: the data set's own), `augment` whether the training part is
    augmented, `validation` the share of the training part to set aside (fixed split, the same for every seed),
    `symmetric` whether images come in [-1, 1], as generation wants them, instead of with zero mean and unit variance.
    """

    name: str
    root: Path | None = None
    steps: int = 4
    size: int | None = None
    augment: bool = True
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
    #: relative to the root; None: needs no files
    folder: str | None

    def found_in(self, root: Path) -> str:
        """Whether its files lie below the root, in words."""
        if self.folder is None:
            return "built in"
        return "found" if (root / self.folder).exists() else f"not found: {self.folder}"


CATALOG: dict[str, CatalogEntry] = {}


def register_data(name: str, summary: str, folder: str | None) -> Callable[[LoadFunction], LoadFunction]:
    """Decorator for a loader function: make a data set available under `name`."""

    def register(load: LoadFunction) -> LoadFunction:
        if name in CATALOG:
            raise ValueError(f"A data set named {name!r} is already registered.")
        CATALOG[name] = CatalogEntry(load, summary, folder)
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
    if not 0 <= request.validation < 1:
        raise ValueError(f"validation is a share of the training part, from 0 up to 1, not {request.validation}.")
    if request.steps < 1 or (request.size is not None and request.size < 1):
        raise ValueError(f"steps and size must be 1 or more, but are steps={request.steps}, size={request.size}.")
    splits = CATALOG[request.name].load(request)
    if request.symmetric and splits.info.temporal:
        raise ValueError(f"Images in [-1, 1] were asked for, but {request.name!r} holds event counts. Choose images.")
    return splits
