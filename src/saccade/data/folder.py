"""Any folder of images in ImageNet's layout: ROOT/train/<class>/<image> and ROOT/val or ROOT/test/<class>/<image>.

Pictures whose first image has no side above 64 pixels are decoded into memory once and treated as CIFAR is; larger ones
are read from disk as they are needed and treated as ImageNet is.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.data.catalog import DataInfo, DataRequest, DataSplits, register_data
from saccade.data.images import IMAGE_SETS, scaling
from saccade.data.memory import splits_in_memory
from saccade.data.pictures import opened
from saccade.data.shards import DEFAULT_SIZE, IMAGENET_MEAN, IMAGENET_STD, picture_splits
from saccade.errors import require
from saccade.files import check_tree, printable, require_inside

SMALL_SIDE = 64

# What is taken for an image by its name.
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

Sample = tuple[str, int]


@register_data("folder", "your own images: ROOT/{train,val or test}/<class>/<image>", "train")
def load_folder(request: DataRequest) -> DataSplits:
    """The image folder at the root itself, in colour.

    Raises:
        FileNotFoundError: no train or no val/test folder, or a class without images.
        ValueError: classes of the two parts differ, an image cannot be read, leads out of the folder or is no file, or
            small images of several sizes.
    """
    root = request.root_or_default
    return _load(request, root, IMAGENET_MEAN, IMAGENET_STD, f"images of the folder {root.resolve().name}")


@register_data("cifar10-jpeg", "CIFAR-10 as JPEG files, 50,000 + 10,000, 10 classes; not exact", "cifar10-jpeg")
def load_cifar10_jpeg(request: DataRequest) -> DataSplits:
    """CIFAR-10 in the folder layout, each image compressed with loss; raises what `load_folder` raises."""
    note = "CIFAR-10 as JPEG quality 75, 4:2:0: results are not comparable with CIFAR-10's"
    cifar10 = IMAGE_SETS["cifar10"]
    return _load(request, request.root_or_default / "cifar10-jpeg", cifar10.mean, cifar10.std, note)


def _load(request: DataRequest, root: Path, mean: Any, std: Any, note: str) -> DataSplits:
    train, test, classes = _list_parts(root)
    first = decode_image(train[0][0]).size
    small = max(first) <= SMALL_SIDE and (request.size or 0) <= SMALL_SIDE
    width, height = first if small and request.size is None else (request.size or DEFAULT_SIZE,) * 2
    info = DataInfo(request.name, len(classes), 3, (height, width), False, tuple(classes), note)
    mean, std = scaling(mean, std, request.symmetric)
    if not small:
        return picture_splits(request, info, ImageFiles(train), ImageFiles(test), mean, std)
    wanted = None if request.size is None else (width, height)
    parts = [decode_all(samples, first, wanted) for samples in (train, test)]
    return splits_in_memory(request, info, parts[0], parts[1], mean, std, "shift4-mirror")


def _list_parts(root: Path) -> tuple[list[Sample], list[Sample], list[str]]:
    """(path, class index) of the training and of the test part, and the class names."""
    second = next((name for name in ("test", "val") if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or second is None:
        raise FileNotFoundError(
            f"An image folder has the layout ROOT/train/<class>/<image> and ROOT/val (or ROOT/test)/<class>/<image>, "
            f"but in ROOT = {root} there is no {'val or test' if (root / 'train').is_dir() else 'train'} folder. "
            "Say where the images are with --data-root DIR or the variable SACCADE_DATA."
        )
    parts = [_list_classes(root / part, root) for part in ("train", second)]
    if odd := sorted(set(parts[0]) ^ set(parts[1])):
        raise ValueError(
            f"{root / 'train'} and {root / second} must have the same class folders, but these are in one only: "
            f"{', '.join(map(printable, odd[:10]))}{', ...' if len(odd) > 10 else ''}. Add or remove them."
        )
    train, test = ([(path, label) for label, images in enumerate(part.values()) for path in images] for part in parts)
    return train, test, list(parts[0])


def _list_classes(part: Path, root: Path) -> dict[str, list[str]]:
    """The images of every class folder and of the folders in it, by name."""
    classes = {}
    for folder in sorted(entry for entry in part.iterdir() if entry.is_dir()):
        require_inside(folder, root.resolve())
        images = [
            str(Path(at, name))
            for at, _, names in sorted(os.walk(folder))  # which follows no links to other folders
            for name in sorted(names)
            if name.lower().endswith(SUFFIXES)
        ]
        if not images:
            raise FileNotFoundError(
                f"The class {printable(folder.name)} has no images in {printable(folder)}. Images end in "
                f"{', '.join(SUFFIXES)}. Add some, or remove the folder, in all parts."
            )
        check_tree(map(Path, images), root)
        classes[folder.name] = images
    if not classes:
        raise FileNotFoundError(f"There are no class folders in {part}. Images lie in {part}/<class>/<image>.")
    return classes


def decode_image(path: str) -> Any:
    """The image as RGB, or an error that names the file."""
    with opened(path, path) as image:
        return image.convert("RGB")


def decode_all(
    samples: list[Sample], expected: tuple[int, int], wanted: tuple[int, int] | None
) -> tuple[Tensor, Tensor]:
    """All images as uint8 [N, 3, H, W], and the labels [N]. Sizes are (width, height).

    `wanted` resizes every image (bilinear, antialiased); without it all must have the `expected` size.
    """
    width, height = wanted or expected
    pictures = np.empty((len(samples), height, width, 3), np.uint8)

    def read(indices: range) -> None:
        for index in indices:
            path = samples[index][0]
            image = decode_image(path)
            if wanted is not None:
                image = image.resize(wanted, bilinear)
            elif image.size != expected:
                raise ValueError(
                    f"Small images are kept at their own size, so they must agree, but {path} has {image.size} pixels "
                    f"(width, height) and the first image {expected}. Give a size to have all resized."
                )
            pictures[index] = np.asarray(image)

    bilinear = require("PIL.Image", "train").Resampling.BILINEAR
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        # One long job per thread: handing out images one by one takes longer than to decode them.
        for _ in pool.map(read, [range(first, len(samples), threads) for first in range(threads)]):
            pass  # map hands on the first error
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in samples])


@dataclass(frozen=True)
class ImageFiles:
    """Pictures in files of their own."""

    samples: list[Sample]

    @property
    def labels(self) -> list[int]:
        """Class index of every picture."""
        return [label for _, label in self.samples]

    def open(self, index: int) -> AbstractContextManager[Any]:
        """A PIL image, not yet decoded."""
        path = self.samples[index][0]
        return opened(path, path)
