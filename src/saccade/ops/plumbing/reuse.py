"""Memory for large results of the CPU kernels, used again instead of asked for anew.

glibc gives blocks of more than 32 MiB back to the system when they are freed, and the system clears every page of a new
block when it is first touched, which takes longer than a fused kernel works. So a block that its tensor has left is
kept for the next tensor of that size, as torch does on a GPU; at most as much as three blocks of the largest size.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

FROM = 32 << 20  # bytes: glibc's DEFAULT_MMAP_THRESHOLD_MAX, up to which it learns to keep freed memory itself
UNIT = 1 << 16  # bytes that sizes are rounded up to


class Blocks:
    """Blocks that no tensor uses at present."""

    def __init__(self) -> None:
        self.left: list[Tensor] = []  # bytes, the one left last at the end
        self.largest = 0
        self.lock = threading.RLock()  # a block may be left in the middle of taking one, by the garbage collector

    def take(self, size: int) -> Tensor:
        """A tensor of `size` bytes, not initialised, whose memory comes back when its storage is no longer needed."""
        with self.lock:
            self.largest = max(self.largest, size)
            fits = next((i for i in reversed(range(len(self.left))) if len(self.left[i]) == size), None)
            block = self.left.pop(fits) if fits is not None else None
        if block is None:
            block = torch.empty(size, dtype=torch.uint8)
        array = block.numpy()  # what torch.from_numpy keeps alive for as long as the storage
        weakref.finalize(array, self._leave, block).atexit = False
        return torch.from_numpy(array)

    def _leave(self, block: Tensor) -> None:
        with self.lock:
            self.left.append(block)
            while sum(map(len, self.left)) > 3 * self.largest:
                self.left.pop(0)

    def clear(self) -> None:
        """Give what is left back to the system."""
        with self.lock:
            self.left.clear()
            self.largest = 0


_blocks = Blocks()


def empty_strided(shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A dense CPU tensor that is not initialised."""
    size = -(-math.prod(shape) * dtype.itemsize // UNIT) * UNIT
    if size < FROM:
        return torch.empty_strided(tuple(shape), tuple(strides), dtype=dtype)
    return _blocks.take(size).view(dtype).as_strided(tuple(shape), tuple(strides))


def empty_cache() -> None:
    """Give memory that is kept for reuse back to the system, like torch.cuda.empty_cache()."""
    _blocks.clear()
