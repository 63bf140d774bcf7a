"""Batches: time first, and everything random a function of (seed, epoch, batch) alone.

A batch is asked for by a `BatchRequest` that carries its indices and its own seed, so it does not matter which process
fetches it, nor what was drawn before: a run resumed at the start of an epoch sees what an undisturbed one sees, with
any number of workers. Where several processes share a batch, each takes its rows of the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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


@runtime_checkable
class RawDataset(Protocol):
    """One whose samples are bytes until a whole batch of them is made into numbers."""

    def raw(self, index: int) -> tuple[Tensor, int]: ...

    def finish(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class BatchRequest:
    """Which samples, the seed of what is drawn while they are fetched, and which of them are this process's."""

    indices: Tensor
    seed: int
    rows: slice = field(default_factory=lambda: slice(None))


def draw_seed(*key: int) -> int:
    """A 64-bit seed from whole numbers that are not negative, e.g. (seed, epoch, batch); any change gives another."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


class BatchSampler(Sampler[BatchRequest]):
    """The batches of one epoch.

    Training: a new order in every epoch, and a last, smaller batch is dropped unless it is the only one. Otherwise: the
    data set's own order, and nothing is dropped. Every pass is a new epoch; `set_epoch` says which.

    With `most`, an epoch ends after so many batches. Without `train` these are of samples from everywhere in the data
    set, the same in every pass: test sets are often in class order, and the first of them would be of one class.

    With `processes` > 1 (distributed training), all take the same batches, and process `rank` its rows of each: in
    training equally many everywhere. Otherwise the numbers may differ by one, and a process that has no row of the last
    batch is spared it. With `accumulate` > 1 every training batch comes in so many equal parts, one after the other.

    Raises:
        ValueError: a batch cannot be shared out equally.
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
        accumulate: int = 1,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.train = train
        self.seed = seed
        self.rank, self.processes = rank, processes
        self.most = most
        self.accumulate = accumulate if train else 1
        self.epoch = 0
        shares = processes * self.accumulate
        if train and (batch_size % shares or length < shares):
            least = -(-batch_size // shares) * shares
            raise ValueError(
                f"Batches of {batch_size} out of {length} samples cannot be shared out equally among {processes} "
                f"processes in {self.accumulate} parts. Choose a batch size that is a multiple of {shares}, e.g. "
                f"{least}."
            )

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch. Lightning calls it on a loader's sampler; so does `BatchLoader.set_epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole = -(-self.length // self.batch_size)
        if self.train:
            return self._at_most(max(1, self.length // self.batch_size)) * self.accumulate
        if self._rows(self.samples - (self._at_most(whole) - 1) * self.batch_size) == (0, 0):
            return self._at_most(whole) - 1  # nothing is left for this process in the last one
        return self._at_most(whole)

    def _at_most(self, batches: int) -> int:
        return batches if self.most is None else min(batches, self.most)

    @property
    def samples(self) -> int:
        """How many samples a pass has, of all processes together."""
        whole = self.length // self.batch_size if self.train else -(-self.length // self.batch_size)
        return min(self.length, self._at_most(max(1, whole)) * self.batch_size)

    def _rows(self, size: int) -> tuple[int, int]:
        """Start and end of this process's rows in a batch of `size`; (0, 0) for none."""
        each, more = divmod(size, self.processes)
        start = self.rank * each + min(self.rank, more)
        end = start + each + (self.rank < more)
        return (start, end) if end > start else (0, 0)

    def __iter__(self) -> Iterator[BatchRequest]:
        # A generator: its body runs at the first batch, so that an epoch set between iter() and next() still counts.
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = torch.arange(self.length)
        if self.train:
            order = torch.randperm(self.length, generator=torch.Generator().manual_seed(draw_seed(self.seed, epoch)))
        elif self.samples < self.length:
            order = spread(self.length, self.samples)
        size = self.batch_size // self.accumulate
        if self.train:  # equal parts, also of a set that is smaller than one batch
            size = min(size, self.length // (self.processes * self.accumulate) * self.processes)
        for number, indices in enumerate(order.split(size)[: len(self)]):
            yield BatchRequest(indices, draw_seed(self.seed, epoch, number), slice(*self._rows(len(indices))))


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
            x, labels = self._fetch(request)
        finally:
            torch.default_generator.set_state(state)
        return (x.transpose(0, 1).contiguous() if self.temporal else x), labels

    def _fetch(self, request: BatchRequest) -> Batch:
        if isinstance(self.dataset, BatchedDataset):
            # Its draws belong to the whole batch, which costs little: it lies in memory.
            x, labels = self.dataset.fetch(request.indices)
            return x[request.rows], labels[request.rows]
        fetch = self.dataset.raw if isinstance(self.dataset, RawDataset) else self.dataset.__getitem__
        samples = []
        for place, index in list(enumerate(request.indices.tolist()))[request.rows]:
            torch.default_generator.manual_seed(draw_seed(request.seed, place))
            samples.append(fetch(index))
        parts, labels_ = zip(*samples, strict=True)
        x = torch.stack(parts)
        return self.dataset.finish(x) if isinstance(self.dataset, RawDataset) else x, torch.tensor(labels_)


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
    accumulate: int = 1,
    alone: bool = False,
) -> BatchLoader:
    """A loader of batches.

    Args:
        dataset: map-style, of (float32 tensor, int label). What it draws, it must draw from torch's global CPU
            generator. One with `fetch` (see `BatchedDataset`) is asked for whole batches.
        batch_size: B, over all processes.
        train: shuffle, and drop a last, smaller batch unless it is the only one. Otherwise the data set's own order,
            complete.
        temporal: samples are [T, C, H, W]: batches become [T, B, C, H, W]. Otherwise [B, C, H, W].
        workers: processes that read files. A data set in memory (with `fetch`) is served by this process whatever the
            number: there is nothing to wait for.
        device: where the batches go. A `MovableDataset` is held on that GPU if it takes no more than a quarter of the
            memory that is free there; its batches are then made there.
        max_batches: end every pass after so many. Without `train` they hold samples from everywhere in the data set.
        seed: order and augmentation of batch n of epoch e are a function of (seed, e, n), not of the workers.
        accumulate: equal parts that every training batch comes in.
        alone: this process takes all rows, however many processes there are.

    With workers, call `set_epoch` before `iter`, since they fetch ahead. In Lightning that means in `train_dataloader`,
    with `trainer.current_epoch`: a resumed run makes the first iterator before it sets the epoch. Workers are new
    processes, not forks: the data set must be picklable, and a script needs `if __name__ == "__main__":`.

    Raises:
        ValueError: empty data set, a batch size below 1, or one that cannot be shared out equally.
    """
    length = len(dataset)  # type: ignore[arg-type]
    if length < 1 or batch_size < 1:
        raise ValueError(f"A loader needs samples in batches of 1 or more, not {length} in batches of {batch_size}.")
    rank, processes = 0, 1
    if not alone and distributed.is_available() and distributed.is_initialized():
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
        sampler=BatchSampler(length, batch_size, train, seed, rank, processes, max_batches, accumulate),
        num_workers=workers,
        pin_memory=torch.cuda.is_available() and (place is None or place.type == "cpu"),
        generator=torch.Generator(),  # torch's loader draws a seed for its workers, from the global one by default
        **options,
    )
