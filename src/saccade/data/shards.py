"""Pictures in tar files, in WebDataset's layout: few large files in place of a million small ones.

    ROOT/{train,val or test}/*.tar, each of pairs KEY.jpg (or .jpeg, .png) and KEY.cls, the class index as text
    ROOT/classes.txt, one name per line; without it classes are called by their numbers

Every member is found by its place in its tar file, so a pass may have any order: the same one as from a folder, and a
run that is resumed sees what an undisturbed one sees. The places are looked up once and kept beside the shards.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from saccade.arrays import read_arrays
from saccade.atomic import replacing, write_text
from saccade.data.augment import STANDARD, find_policy
from saccade.data.catalog import DataInfo, DataRequest, DataSplits, register_data
from saccade.data.images import scaling
from saccade.data.pictures import Pictures, opened
from saccade.data.split import split_last
from saccade.files import MOST_BYTES, FileError, check_tree, printable

SUFFIXES = (".jpg", ".jpeg", ".png")
INDEX = "index.npz"
MOST_CLASSES = 1_000_000
DEFAULT_SIZE = 224
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Shards:
    """The pictures of the tar files of one folder, in the order of the files and of their members."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.tar"))
        if not self.paths:
            raise FileNotFoundError(
                f"{folder} holds no shards: *.tar files of KEY.jpg and KEY.cls. `saccade.data.write_shards` makes them "
                "of an image folder."
            )
        check_tree(self.paths, folder)
        found = _index(folder, self.paths)
        self.shard, self.offset, self.size, self.labels = (found[n] for n in ("shard", "offset", "size", "labels"))
        self._files: dict[tuple[int, int], int] = {}

    def open(self, index: int) -> AbstractContextManager[Any]:
        """A PIL image, not yet decoded."""
        shard, offset, size = (int(found[index]) for found in (self.shard, self.offset, self.size))
        content = os.pread(self._file(shard), size, offset)
        return opened(io.BytesIO(content), f"at byte {offset} of {self.paths[shard]}")

    def _file(self, shard: int) -> int:
        """An open file of this process: a worker has its own."""
        key = (os.getpid(), shard)
        if key not in self._files:
            self._files[key] = os.open(self.paths[shard], os.O_RDONLY)
        return self._files[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}


@register_data("shards", "your own images in tar files (WebDataset): ROOT/{train,val or test}/*.tar", "train")
def load_shards(request: DataRequest) -> DataSplits:
    """The shards at the root itself, in colour, treated as ImageNet is.

    Raises:
        FileNotFoundError: no train or no val/test folder, or no shards in it.
        ValueError: a member without its label, or labels that are no class indices.
    """
    root = request.root_or_default
    second = next((name for name in ("test", "val") if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or second is None:
        raise FileNotFoundError(
            f"Shards lie in ROOT/train and ROOT/val (or ROOT/test), but in ROOT = {root} there is no "
            f"{'val or test' if (root / 'train').is_dir() else 'train'} folder. Say where they are: --data-root DIR."
        )
    train, test = Shards(root / "train"), Shards(root / second)
    count = int(max(train.labels.max(), test.labels.max())) + 1
    if count > MOST_CLASSES:
        raise ValueError(f"The labels in {root} go up to {count - 1}, and {MOST_CLASSES - 1:,} is the most.")
    names = tuple(map(str, range(count)))
    if (root / "classes.txt").is_file():
        names = tuple((root / "classes.txt").read_text(encoding="utf-8").splitlines())
        if len(names) < count:
            raise ValueError(f"{root / 'classes.txt'} names {len(names)} classes, but the labels go up to {count - 1}.")
    size = request.size or DEFAULT_SIZE
    info = DataInfo(
        request.name, len(names), 3, (size, size), False, names, f"images of the shards {root.resolve().name}"
    )
    mean, std = scaling(IMAGENET_MEAN, IMAGENET_STD, request.symmetric)
    return picture_splits(request, info, train, test, mean, std)


def picture_splits(
    request: DataRequest, info: DataInfo, train: Any, test: Any, mean: Sequence[float], std: Sequence[float]
) -> DataSplits:
    """The parts of two sources of pictures."""
    import torch

    size, standard = info.size[0], request.augment == STANDARD
    policy = None if standard else find_policy(request.augment, STANDARD)
    kept, aside = split_last(torch.as_tensor(np.asarray(train.labels)), request.validation)
    return DataSplits(
        info,
        Pictures(train, [int(i) for i in kept], size, mean, std, standard, policy),
        Pictures(test, list(range(len(test.labels))), size, mean, std),
        Pictures(train, [int(i) for i in aside], size, mean, std) if len(aside) else None,
    )


def write_shards(samples: Iterable[tuple[str | Path, int]], folder: Path, per_shard: int = 1000) -> list[Path]:
    """Pack pictures into tar files of at most `per_shard`, as they are, in the order given.

    Args:
        samples: (path, class index); shuffle them first, so that a shard holds all classes.
        folder: made if need be; FOLDER/00000.tar, ... are written whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed, written = list(samples), []
    for number, start in enumerate(range(0, len(listed), per_shard)):
        path = folder / f"{number:05d}.tar"
        with replacing(path) as temporary, tarfile.open(temporary, "w") as tar:
            for place, (picture, label) in enumerate(listed[start : start + per_shard], start):
                source = Path(picture)
                _add(tar, f"{place:08d}{source.suffix.lower()}", source.read_bytes())
                _add(tar, f"{place:08d}.cls", str(label).encode())
        written.append(path)
    return written


def write_classes(root: Path, names: Sequence[str]) -> None:
    """ROOT/classes.txt."""
    write_text(root / "classes.txt", "".join(f"{name}\n" for name in names))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _index(folder: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Shard, place, size and label of every picture: from the index beside the shards, if it is of these very files."""
    key = np.array([f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths])
    try:
        there = read_arrays(folder / INDEX)
        if np.array_equal(there["key"], key) and (there["size"] <= MOST_BYTES).all():
            return there
    except (OSError, ValueError, KeyError):
        pass  # none, or a damaged one: made anew
    rows = np.array([row for number, path in enumerate(paths) for row in _scan(number, path)], dtype=np.int64)
    found: dict[str, Any] = dict(zip(("shard", "offset", "size", "labels"), rows.T, strict=True))
    try:
        with replacing(folder / INDEX) as temporary, temporary.open("wb") as file:
            np.savez(file, key=key, **found)
    except OSError:
        pass  # a folder that cannot be written to is looked through every time
    return found


def _scan(number: int, path: Path) -> list[tuple[int, int, int, int]]:
    pictures: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, suffix = os.path.splitext(member.name)  # noqa: PTH122  a member's name is no path of this machine
                if member.size > MOST_BYTES:
                    raise FileError(path, f"{printable(member.name)} has {member.size:,} bytes.")
                if suffix.lower() in SUFFIXES:
                    pictures[key] = (member.offset_data, member.size)
                elif suffix == ".cls":
                    content = tar.extractfile(member)
                    labels[key] = int(content.read()) if content else -1
    except FileError:
        raise
    except (tarfile.TarError, ValueError, OSError) as error:
        raise ValueError(f"Cannot read the shard {path} ({error}). Replace or delete it.") from error
    odd = sorted(pictures.keys() ^ labels.keys()) or [key for key, label in labels.items() if label < 0]
    if odd or not pictures:
        raise ValueError(
            f"{path} must hold a picture ({', '.join(SUFFIXES)}) and its class index from 0 (.cls) under every key, "
            f"but {printable(odd[0]) if odd else 'it'} has not both."
        )
    return [(number, *pictures[key], labels[key]) for key in pictures]
