"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, read by torchvision, held in memory.

torchvision's layout below the root: MNIST/raw, FashionMNIST/raw, cifar-10-batches-py, cifar-100-python.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saccade.data.catalog import DataInfo, DataRequest, DataSplits, register_data
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


# The numbers of the customary pipelines: shift by 4 pixels and mirror for CIFAR. A mirrored digit is not a digit.
IMAGE_SETS = {
    "mnist": ImageSet("MNIST", "MNIST/raw", (0.1307,), (0.3081,), "shift2"),
    "fashion-mnist": ImageSet("FashionMNIST", "FashionMNIST/raw", (0.2860,), (0.3530,), "shift2-mirror"),
    "cifar10": ImageSet(
        "CIFAR10", "cifar-10-batches-py", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), "shift4-mirror"
    ),
    "cifar100": ImageSet(
        "CIFAR100", "cifar-100-python", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), "shift4-mirror"
    ),
}


@register_data("mnist", "handwritten digits, 28x28 grey, 60,000 + 10,000, 10 classes", "MNIST/raw")
@register_data("fashion-mnist", "clothes, 28x28 grey, 60,000 + 10,000, 10 classes", "FashionMNIST/raw")
@register_data("cifar10", "photographs, 32x32 colour, 50,000 + 10,000, 10 classes", "cifar-10-batches-py")
@register_data("cifar100", "photographs, 32x32 colour, 50,000 + 10,000, 100 classes", "cifar-100-python")
def load_images(request: DataRequest) -> DataSplits:
    """The files found below the root, else a download.

    Raises:
        FileNotFoundError: not there, and no download; names the files, where they go and their MD5 sums.
        ValueError: files that cannot be read.
    """
    image_set = IMAGE_SETS[request.name]
    train, test = (_read(image_set, request.root_or_default, train=part) for part in (True, False))
    parts = [(resize(_pictures(d), request.size), torch.as_tensor(d.targets)) for d in (train, test)]
    channels, height, width = parts[0][0].shape[1:]
    info = DataInfo(
        name=request.name,
        num_classes=len(train.classes),
        in_channels=channels,
        size=(height, width),
        temporal=False,
        class_names=tuple(train.classes),
    )
    mean, std = scaling(image_set.mean, image_set.std, request.symmetric)
    return splits_in_memory(request, info, parts[0], parts[1], mean, std, image_set.policy)


def scaling(mean: Sequence[float], std: Sequence[float], symmetric: bool) -> tuple[list[float], list[float]]:
    """Mean and std for pixels from 0 to 255; `symmetric` takes 0..255 to -1..1 instead."""
    if symmetric:
        return [127.5], [127.5]
    return [255 * m for m in mean], [255 * s for s in std]


def _pictures(dataset: Any) -> Tensor:
    """torchvision's array [N, H, W] (a tensor) or [N, H, W, C] (numpy) -> uint8 [N, C, H, W]."""
    data = torch.as_tensor(dataset.data)
    return data[:, None] if data.ndim == 3 else data.permute(0, 3, 1, 2).contiguous()


def _read(image_set: ImageSet, root: Path, train: bool) -> Any:
    """torchvision's data set object, from the files found or from a download."""
    reader = getattr(require("torchvision.datasets", "train"), image_set.reader)
    if not all(path.is_file() for path in _expected_files(reader, root)):
        _download(reader, image_set, root)
    try:
        return reader(root, train=train)
    except (RuntimeError, ValueError, TypeError, KeyError, AssertionError, OSError) as error:
        raise ValueError(
            f"The files of {image_set.reader} in {root / image_set.folder} cannot be read: {error}\n"
            f"Delete that folder, so that they are downloaded again, or replace them.\n{_where(reader, root)}"
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
            f"({' '.join(str(error).split())}).\n{_where(reader, root)}\n"
            "Put them there, or say where they are with --data-root DIR or the variable SACCADE_DATA."
        ) from error


def _expected_files(reader: Any, root: Path) -> dict[Path, str]:
    """The unpacked files torchvision reads, and what it knows of each one's MD5."""
    if hasattr(reader, "resources"):  # the MNIST family
        raw = root / reader.__name__ / "raw"
        return {raw / name.removesuffix(".gz"): f"or {name} with MD5 {md5}" for name, md5 in reader.resources}
    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    return {root / reader.base_folder / name: f"MD5 {md5}" for name, md5 in files}


def _where(reader: Any, root: Path) -> str:
    files = [f"  {path} ({md5})" for path, md5 in _expected_files(reader, root).items()]
    if hasattr(reader, "filename"):  # CIFAR: one archive for all
        files.append(f"or, to be unpacked: {root / reader.filename} (MD5 {reader.tgz_md5})")
    return "\n".join(["Expected files:", *files])


@contextlib.contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    """torchvision's downloads set no time limit of their own; the process-wide default is the only handle on them."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
