"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, held in memory.

Below the root, torchvision's layout: MNIST/raw, FashionMNIST/raw, cifar-10-batches-py, cifar-100-python; or, of the
CIFARs, the official binary versions: cifar-10-batches-bin, cifar-100-binary.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saccade.data import cifar_binary
from saccade.data.catalog import DataInfo, DataRequest, DataSplits, register_data
from saccade.data.cifar_binary import BinaryVersion, read_binary
from saccade.data.memory import resize, splits_in_memory
from saccade.errors import require

# Without a limit an unreachable server can hold a download up for minutes.
DOWNLOAD_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ImageSet:
    """A torchvision data set of small images, and how it is usually trained on."""

    #: name of the class in torchvision.datasets
    reader: str
    folder: str
    #: per channel, of the training part, with images from 0 to 1
    mean: Sequence[float]
    std: Sequence[float]
    #: its own augmentation policy
    policy: str
    #: how many images the whole set has
    train: int
    test: int
    binary: BinaryVersion | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """Where its files are looked for, below the root."""
        return (self.folder,) if self.binary is None else (self.folder, self.binary.folder)


@dataclass(frozen=True)
class ImagePart:
    """The training or the test part of a set, as it is in its files."""

    #: uint8 [N, C, H, W]
    images: Tensor
    #: int64 [N]
    labels: Tensor
    classes: tuple[str, ...]


# The numbers of the customary pipelines: shift by 4 pixels and mirror for CIFAR. A mirrored digit is not a digit.
IMAGE_SETS = {
    "mnist": ImageSet("MNIST", "MNIST/raw", (0.1307,), (0.3081,), "shift2", 60_000, 10_000),
    "fashion-mnist": ImageSet(
        "FashionMNIST", "FashionMNIST/raw", (0.2860,), (0.3530,), "shift2-mirror", 60_000, 10_000
    ),
    "cifar10": ImageSet(
        "CIFAR10",
        "cifar-10-batches-py",
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        "shift4-mirror",
        50_000,
        10_000,
        cifar_binary.CIFAR10,
    ),
    "cifar100": ImageSet(
        "CIFAR100",
        "cifar-100-python",
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
        "shift4-mirror",
        50_000,
        10_000,
        cifar_binary.CIFAR100,
    ),
}
SUMMARIES = {
    "mnist": "handwritten digits, 28x28 grey, 60,000 + 10,000, 10 classes",
    "fashion-mnist": "clothes, 28x28 grey, 60,000 + 10,000, 10 classes",
    "cifar10": "photographs, 32x32 colour, 50,000 + 10,000, 10 classes",
    "cifar100": "photographs, 32x32 colour, 50,000 + 10,000, 100 classes",
}


def load_images(request: DataRequest) -> DataSplits:
    """The files found below the root, else a download.

    Raises:
        FileNotFoundError: not there, and no download; names the files, where they go and their MD5 sums.
        ValueError: files that cannot be read.
    """
    image_set = IMAGE_SETS[request.name]
    train, test = (read_images(request.name, request.root_or_default, train=part) for part in (True, False))
    parts = [(resize(part.images, request.size), part.labels) for part in (train, test)]
    channels, height, width = parts[0][0].shape[1:]
    info = DataInfo(
        name=request.name,
        num_classes=len(train.classes),
        in_channels=channels,
        size=(height, width),
        temporal=False,
        class_names=train.classes,
        note=part_of_whole(image_set, train, test),
    )
    mean, std = scaling(image_set.mean, image_set.std, request.symmetric)
    return splits_in_memory(request, info, parts[0], parts[1], mean, std, image_set.policy)


def part_of_whole(image_set: ImageSet, train: ImagePart, test: ImagePart) -> str:
    """What is missing from the published set, in words; nothing if nothing is."""
    if (len(train.images), len(test.images)) == (image_set.train, image_set.test):
        return ""
    return (
        f"{len(train.images):,} training and {len(test.images):,} test images, of {image_set.train:,} and "
        f"{image_set.test:,} in the whole set"
    )


def read_images(name: str, root: Path, train: bool) -> ImagePart:
    """One part of a set, from whichever layout is there; errors as for `load_images`."""
    image_set = IMAGE_SETS[name]
    reader = getattr(require("torchvision.datasets", "train"), image_set.reader)
    whole = all(path.is_file() for path in _expected_files(reader, root))
    if not whole and image_set.binary is not None and image_set.binary.is_in(root):
        images, labels, classes = read_binary(image_set.binary, root, train)
        return ImagePart(images, labels, tuple(classes))
    dataset = _read(image_set, reader, root, train, whole)
    return ImagePart(_pictures(dataset), torch.as_tensor(dataset.targets), tuple(dataset.classes))


def where_images(image_set: ImageSet, root: Path) -> str:
    """All layouts that are taken, with their files and what is known of their MD5 sums."""
    reader = getattr(require("torchvision.datasets", "train"), image_set.reader)
    lines = ["Expected files:", *(f"  {path} ({md5})" for path, md5 in _expected_files(reader, root).items())]
    if hasattr(reader, "filename"):  # CIFAR: one archive for all
        lines.append(f"or, to be unpacked: {root / reader.filename} (MD5 {reader.tgz_md5})")
    if image_set.binary is not None:
        folder = root / image_set.binary.folder
        lines += ["or the binary version:", *(f"  {folder / file}" for file in image_set.binary.files)]
    return "\n".join(lines)


def scaling(mean: Sequence[float], std: Sequence[float], symmetric: bool) -> tuple[list[float], list[float]]:
    """Mean and std for pixels from 0 to 255; `symmetric` takes 0..255 to -1..1 instead."""
    if symmetric:
        return [127.5], [127.5]
    return [255 * m for m in mean], [255 * s for s in std]


def _pictures(dataset: Any) -> Tensor:
    """torchvision's array [N, H, W] (a tensor) or [N, H, W, C] (numpy) -> uint8 [N, C, H, W]."""
    data = torch.as_tensor(dataset.data)
    return data[:, None] if data.ndim == 3 else data.permute(0, 3, 1, 2).contiguous()


def _read(image_set: ImageSet, reader: Any, root: Path, train: bool, whole: bool) -> Any:
    """torchvision's data set object, from the files found or from a download."""
    if not whole:
        _download(reader, image_set, root)
    try:
        return reader(root, train=train)
    except (RuntimeError, ValueError, TypeError, KeyError, AssertionError, OSError) as error:
        raise ValueError(
            f"The files of {image_set.reader} in {root / image_set.folder} cannot be read: {error}\n"
            "Delete that folder, so that they are downloaded again, or replace them.\n"
            f"{where_images(image_set, root)}"
        ) from error


def _download(reader: Any, image_set: ImageSet, root: Path) -> None:
    """Also unpacks archives that are already in place, without a network."""
    folders = (root / image_set.folder, (root / image_set.folder).parent, root)
    absent = [folder for folder in folders if not folder.exists()]
    try:
        with _network_timeout(DOWNLOAD_TIMEOUT_S):
            reader(root, train=True, download=True)
    except (OSError, RuntimeError) as error:
        for folder in absent:
            with contextlib.suppress(OSError):
                folder.rmdir()  # what the attempt left behind, if empty
        raise FileNotFoundError(
            f"{image_set.reader} is not in {root} and could not be downloaded "
            f"({' '.join(str(error).split())}).\n{where_images(image_set, root)}\n"
            "Put them there, or say where they are with --data-root DIR or the variable SACCADE_DATA."
        ) from error


def _expected_files(reader: Any, root: Path) -> dict[Path, str]:
    """The unpacked files torchvision reads, and what it knows of each one's MD5."""
    if hasattr(reader, "resources"):  # the MNIST family
        raw = root / reader.__name__ / "raw"
        return {raw / name.removesuffix(".gz"): f"or {name} with MD5 {md5}" for name, md5 in reader.resources}
    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    return {root / reader.base_folder / name: f"MD5 {md5}" for name, md5 in files}


@contextlib.contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    """torchvision's downloads set no time limit of their own; the process-wide default is the only handle on them."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


for _name, _set in IMAGE_SETS.items():
    register_data(_name, SUMMARIES[_name], _set.folders, where=partial(where_images, _set))(load_images)
