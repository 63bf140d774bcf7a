"""Batches: time first, and everything random a function of (seed, epoch, batch) alone.

A batch is asked for by a `BatchRequest` that carries its indices and its own seed, so it does not matter which process
fetches it, nor what was drawn before: a run resumed at the start of an epoch sees what an undisturbed one sees, with
any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from saccade.data.split import spread

Batch = tuple[Tensor, Tensor]


@runtime_checkable
class BatchedDataset(Protocol):
    """A data set in memory, which hands out whole batches at once: samples [B, ...] and labels [B]."""

    def __len__(self) -> int: ...

    def fetch(self, indices: Tensor) -> Batch: ...


@runtime_checkable
class MovableDataset(BatchedDataset, Protocol):
    """One whose samples lie in files until `to` holds them in memory ("cpu") or on a GPU."""

    @property
    def device(self) -> torch.device | None:
        """Where the samples are held; None: in files."""

    @property
    def nbytes(self) -> int:
        """What holding them takes."""

    def to(self, device: torch.device) -> MovableDataset: ...


@dataclass(frozen=True)
class BatchRequest:
    """Which samples, and the seed of what is drawn while they are fetched."""

    indices: Tensor
    seed: int


def draw_seed(*key: int) -> int:
    """A 64-bit seed from whole numbers that are not negative, e.g. (seed, epoch, batch); any change gives another."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


class BatchSampler(Sampler[BatchRequest]):
    """The batches of one epoch.

    Training: a new order in every epoch, and a last, smaller batch is dropped unless it is the only one. Otherwise: the
    data set's own order, and nothing is dropped. Every pass is a new epoch; `set_epoch` says which.

    With `most`, an epoch ends after so many batches. Without `train` these are of samples from everywhere in the data
    set, the same in every pass: test sets are often in class order, and the first of them would be of one class.

    With `processes` > 1 (distributed training), process `rank` takes every `processes`-th training batch, and all take
    equally many. Without `train` every process goes through all samples, so that a test result is exact on each.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        train: bool,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        most: int | None = None,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.train = train
        self.seed = seed
        self.rank, self.processes = (rank, processes) if train else (0, 1)
        self.most = most
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch. Lightning calls it on a loader's sampler; so does `BatchLoader.set_epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole = -(-self.length // self.batch_size)
        if self.train:
            whole = max(1, self.length // self.batch_size // self.processes)
        return whole if self.most is None else min(whole, self.most)

    @property
    def samples(self) -> int:
        """How many samples a pass has."""
        return min(self.length, len(self) * self.batch_size)

    def __iter__(self) -> Iterator[BatchRequest]:
        # A generator: its body runs at the first batch, so that an epoch set between iter() and next() still counts.
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = torch.arange(self.length)
        if self.train:
            order = torch.randperm(self.length, generator=torch.Generator().manual_seed(draw_seed(self.seed, epoch)))
        elif self.samples < self.length:
            order = spread(self.length, self.samples)
        batches = order.split(self.batch_size)
        for i in range(len(self)):
            number = (i * self.processes + self.rank) % len(batches)
            yield BatchRequest(batches[number], draw_seed(self.seed, epoch, number))


class Batches(Dataset):
    """A map-style data set seen as one of batches: `BatchRequest` -> ([T, B, ...] or [B, ...], labels [B])."""

    def __init__(self, dataset: Dataset, temporal: bool) -> None:
        self.dataset = dataset
        self.temporal = temporal

    def __getitem__(self, request: BatchRequest) -> Batch:
        # The CPU generator alone, and put back: torch.manual_seed would also restart dropout on every GPU.
        state = torch.default_generator.get_state()
        torch.default_generator.manual_seed(request.seed)
        try:
            x, labels = self._fetch(request.indices)
        finally:
            torch.default_generator.set_state(state)
        return (x.transpose(0, 1).contiguous() if self.temporal else x), labels

    def _fetch(self, indices: Tensor) -> Batch:
        if isinstance(self.dataset, BatchedDataset):
            return self.dataset.fetch(indices)
        samples, labels = zip(*(self.dataset[i] for i in indices.tolist()), strict=True)
        return torch.stack(samples), torch.tensor(labels)


class BatchLoader(DataLoader):
    """A DataLoader of whole batches (x, labels), whose draws belong to an epoch."""

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch. Without it, every pass is the epoch after the last one, from 0."""
        cast(BatchSampler, self.sampler).set_epoch(epoch)

    @property
    def cut_short(self) -> str | None:
        """Which samples a pass has, in words, where `max_batches` leaves some out."""
        sampler = cast(BatchSampler, self.sampler)
        if sampler.samples >= sampler.length:
            return None
        return f"{sampler.samples:,} of {sampler.length:,} samples, spread over the whole set"


def make_loader(
    dataset: Dataset,
    *,
    batch_size: int,
    train: bool,
    temporal: bool,
    workers: int = 0,
    seed: int = 0,
    device: torch.device | None = None,
    max_batches: int | None = None,
) -> BatchLoader:
    """A loader of batches.

    Args:
        dataset: map-style, of (float32 tensor, int label). What it draws, it must draw from torch's global CPU
            generator. One with `fetch` (see `BatchedDataset`) is asked for whole batches.
        batch_size: B, per process.
        train: shuffle, and drop a last, smaller batch unless it is the only one. Otherwise the data set's own order,
            complete.
        temporal: samples are [T, C, H, W]: batches become [T, B, C, H, W]. Otherwise [B, C, H, W].
        workers: processes that read files. A data set in memory (with `fetch`) is served by this process whatever the
            number: there is nothing to wait for.
        device: where the batches go. A `MovableDataset` is held on that GPU if it takes no more than a quarter of the
            memory that is free there; its batches are then made there.
        max_batches: end every pass after so many. Without `train` they hold samples from everywhere in the data set.
        seed: order and augmentation of batch n of epoch e are a function of (seed, e, n), not of the workers.

    With workers, call `set_epoch` before `iter`, since they fetch ahead. In Lightning that means in `train_dataloader`,
    with `trainer.current_epoch`: a resumed run makes the first iterator before it sets the epoch. Workers are new
    processes, not forks: the data set must be picklable, and a script needs `if __name__ == "__main__":`.

    Raises:
        ValueError: empty data set, or a batch size below 1.
    """
    length = len(dataset)  # type: ignore[arg-type]
    if length < 1 or batch_size < 1:
        raise ValueError(f"A loader needs samples in batches of 1 or more, not {length} in batches of {batch_size}.")
    rank, processes = 0, 1
    if distributed.is_available() and distributed.is_initialized():
        rank, processes = distributed.get_rank(), distributed.get_world_size()
    if isinstance(dataset, MovableDataset) and device is not None and device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        dataset = cast(Dataset, dataset.to(device)) if dataset.nbytes <= free // 4 else dataset
    place = dataset.device if isinstance(dataset, MovableDataset) else torch.device("cpu")
    in_memory = isinstance(dataset, BatchedDataset) and place is not None
    workers = 0 if in_memory else workers
    options: dict[str, Any] = {}
    if workers:
        # Neither forks, which copy the locks that this process's threads hold and can hang on them, nor a fork server,
        # whose workers would outlive this process when it is killed.
        options = {"multiprocessing_context": "spawn", "persistent_workers": True}
    return BatchLoader(
        Batches(dataset, temporal),
        batch_size=None,  # the data set hands out batches itself
        sampler=BatchSampler(length, batch_size, train, seed, rank, processes, max_batches),
        num_workers=workers,
        pin_memory=torch.cuda.is_available() and (place is None or place.type == "cpu"),
        generator=torch.Generator(),  # torch's loader draws a seed for its workers, from the global one by default
        **options,
    )
