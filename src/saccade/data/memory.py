"""A data set that fits in memory: one uint8 tensor, whole batches by indexing, no decoding and no loop over samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from saccade.data.augment import Augment, find_policy
from saccade.data.catalog import DataInfo, DataRequest, DataSplits
from saccade.data.split import split_last

# Resizing goes through a few thousand images at a time, so that its copies stay small.
CHUNK = 4096
MOST_BYTES = 2**35


class ImageTensors(Dataset):
    """Images [N, C, H, W] or frame sequences [N, T, C, H, W] as uint8, normalised on access: (x - mean) / std.

    Args:
        samples: uint8, one picture or sequence per entry.
        labels: class indices [N].
        mean, std: one number per channel, or one for all, in the units of the samples (0 to 255).
        augment: applied to every uint8 batch [B, ...] before it is normalised; None leaves the samples as they are.

    `dataset[i]` is `(float32 sample, int)`; `fetch(indices)` is a whole batch, and what `make_loader` uses. It is made
    where the samples are: after `to(gpu)` nothing but indices and a few draws per sample crosses the bus.
    """

    def __init__(
        self,
        samples: Tensor,
        labels: Tensor,
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augment | None = None,
    ) -> None:
        if samples.dtype != torch.uint8 or samples.ndim < 4:
            raise ValueError(f"Samples must be uint8 [N, ..., C, H, W], not {samples.dtype} {list(samples.shape)}.")
        if len(samples) != len(labels):
            raise ValueError(f"Every sample needs a label, but there are {len(samples)} samples, {len(labels)} labels.")
        self.samples = samples
        self.labels = labels.long()
        self.scale = 1 / torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)
        self.offset = -torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1) * self.scale
        self.augment = augment

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def device(self) -> torch.device:
        """Where the samples are held."""
        return self.samples.device

    @property
    def nbytes(self) -> int:
        """What holding them takes."""
        return self.samples.nbytes

    def to(self, device: torch.device) -> ImageTensors:
        """The same data set with its samples on a device."""
        moved = copy.copy(self)
        for name in ("samples", "labels", "scale", "offset"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def fetch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Indices [B] -> float32 samples [B, ...] and labels [B], on the samples' device."""
        indices = indices.to(self.device, non_blocking=True)  # else the CPU would wait for the GPU at every batch
        x = self.samples[indices]
        if self.augment is not None:
            x = self.augment(x)
        return x.float().mul_(self.scale).add_(self.offset), self.labels[indices]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x, label = self.fetch(torch.tensor([index]))
        return x[0], int(label[0])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """What a plain torch DataLoader calls: the batch is fetched at once, then handed over sample by sample."""
        x, labels = self.fetch(torch.as_tensor(indices))
        return list(zip(x, labels.tolist(), strict=True))


def require_room(nbytes: int, what: str) -> None:
    """ValueError for samples that are not to be held in memory: too many at all, or for this machine now."""
    most = min(MOST_BYTES, free_bytes())
    if nbytes > most:
        raise ValueError(
            f"{what} take {nbytes / 2**30:,.1f} GiB, and {most / 2**30:,.1f} are the most that can be held in memory. "
            "Ask for fewer steps or a smaller size."
        )


def free_bytes() -> int:
    """Memory that this process can still have, as far as the system says it."""
    free = MOST_BYTES
    with suppress(OSError, StopIteration):  # not Linux
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    with suppress(OSError, ValueError):  # no such group, or no limit ("max")
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text(encoding="ascii"))
        free = min(free, max(0, int((group / "memory.max").read_text(encoding="ascii")) - used))
    return free


def resize(images: Tensor, size: int | None) -> Tensor:
    """uint8 images [N, C, H, W] -> [N, C, size, size], bilinear, antialiased where they shrink; None leaves them."""
    if size is None or images.shape[-2:] == (size, size):
        return images
    require_room(len(images) * images.shape[1] * size * size, f"{len(images):,} images of {size} x {size} pixels")
    chunks = [F.interpolate(c, (size, size), mode="bilinear", antialias=True) for c in images.split(CHUNK)]
    return torch.cat(chunks)


def splits_in_memory(
    request: DataRequest,
    info: DataInfo,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    standard: str,
) -> DataSplits:
    """`DataSplits` from (samples, labels) of both parts. Only the training part is augmented, as requested.

    `standard` is the set's own augmentation policy.
    """
    samples, labels = train
    kept, aside = split_last(labels, request.validation)
    validation = ImageTensors(samples[aside], labels[aside], mean, std) if len(aside) else None
    if validation is not None:
        samples, labels = samples[kept], labels[kept]
    return DataSplits(
        info,
        ImageTensors(samples, labels, mean, std, find_policy(request.augment, standard)),
        ImageTensors(*test, mean, std),
        validation,
    )
