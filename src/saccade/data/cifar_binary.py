"""The official binary versions of CIFAR-10 and CIFAR-100: records of labels and 3 x 32 x 32 bytes, nothing pickled.

Krizhevsky: "Learning Multiple Layers of Features from Tiny Images", 2009; the layout is described on the data's page,
cs.toronto.edu/~kriz/cifar.html: one label byte (CIFAR-10), or a coarse and a fine one (CIFAR-100), then the red, green
and blue plane, row by row. Names of the classes stand in a text file, one per line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saccade.files import FileError, read_file

PIXELS = (3, 32, 32)


@dataclass(frozen=True)
class BinaryVersion:
    """Which files there are, and how a record begins."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    #: bytes before the pixels; the last is the label that counts
    label_bytes: int

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train, *self.test, self.names)

    def is_in(self, root: Path) -> bool:
        """Whether all files are there."""
        return all((root / self.folder / name).is_file() for name in self.files)


CIFAR10 = BinaryVersion(
    "cifar-10-batches-bin",
    tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    ("test_batch.bin",),
    "batches.meta.txt",
    1,
)
CIFAR100 = BinaryVersion("cifar-100-binary", ("train.bin",), ("test.bin",), "fine_label_names.txt", 2)


def read_binary(version: BinaryVersion, root: Path, train: bool) -> tuple[Tensor, Tensor, list[str]]:
    """Images uint8 [N, 3, 32, 32], labels int64 [N] and the names of the classes.

    Raises:
        FileError: a file that is not a whole number of records, or has a label without a name.
    """
    folder = root / version.folder
    text = read_file(folder / version.names, 2**16).decode("utf-8", errors="replace")
    classes = [line.strip() for line in text.splitlines() if line.strip()]
    length = version.label_bytes + int(np.prod(PIXELS))
    images, labels = [], []
    for name in version.train if train else version.test:
        content = np.frombuffer(read_file(folder / name), np.uint8)
        if not len(content) or len(content) % length:
            raise FileError(
                folder / name,
                f"it has {len(content):,} bytes, which is no whole number of records of {length} bytes. It is "
                "truncated, or another file.",
            )
        records = content.reshape(-1, length)
        found = records[:, version.label_bytes - 1]
        if int(found.max()) >= len(classes):
            raise FileError(folder / name, f"it has the label {found.max()}, but {version.names} names {len(classes)}.")
        images.append(records[:, version.label_bytes :].reshape(-1, *PIXELS))
        labels.append(found)
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(labels)).long(), classes
