"""The clips of a frame cache as a data set: from disk, from memory, or from a GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from saccade.data.augment import Augment
from saccade.data.events.store import FrameStore


@dataclass(frozen=True)
class EventClips(Dataset):
    """Counts of events as `(float32 [T, 2, H, W], int)`, unscaled; `fetch` hands out whole batches.

    `rows` are the clips of the store that belong to this part. `augment` changes every batch (None: as recorded).
    `resident` holds the counts of these clips [N, T, 2, H, W] in memory or on a GPU; without it they are read from the
    memory-mapped files, which the system keeps in memory as far as there is room.
    """

    store: FrameStore
    rows: list[int]
    labels: Tensor
    augment: Augment | None = None
    resident: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Indices [B] -> float32 counts [B, T, 2, H, W] and labels [B], on the device of the clips."""
        if self.resident is None:
            x = torch.from_numpy(self._read(indices.tolist()))
        else:
            x = self.resident[indices.to(self.resident.device)].float()
        if self.augment is not None:
            x = self.augment(x)
        return x, self.labels[indices].to(x.device)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x, label = self.fetch(torch.tensor([index]))
        return x[0], int(label[0])

    @property
    def device(self) -> torch.device | None:
        """Where the clips are held; None: in the files."""
        return None if self.resident is None else self.resident.device

    @property
    def nbytes(self) -> int:
        """What holding them takes."""
        return len(self) * int(np.prod(self.store.shape)) * self._kind.itemsize

    @property
    def _kind(self) -> np.dtype[Any]:
        """The type that they are held in: torch can do little with unsigned types past 8 bits."""
        small = all(part.dtype == np.uint8 for part in self.store.parts)
        return np.dtype(np.uint8 if small else np.int32)

    def to(self, device: torch.device | str) -> EventClips:
        """These clips held in memory ("cpu") or on a GPU."""
        if self.resident is not None:
            return replace(self, resident=self.resident.to(device))
        counts = np.empty((len(self), *self.store.shape), self._kind)
        for place, row in enumerate(self.rows):
            counts[place] = self.store.clip(row)
        return replace(self, resident=torch.from_numpy(counts).to(device))

    def _read(self, indices: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
        x = np.empty((len(indices), *self.store.shape), np.float32)
        for place, index in enumerate(indices):
            x[place] = self.store.clip(self.rows[index])
        return x
