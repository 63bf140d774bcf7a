"""Several processes that share a batch (`torch.distributed`): what is drawn for it, and sums over all of it.

Every process holds the same number of rows of one batch. So that nothing depends on how many there are, random numbers
are drawn for the whole batch, from the same seed in every process. All of this is nothing where there is one process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")


def rank_and_processes() -> tuple[int, int]:
    """This process's number and how many there are; (0, 1) alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def draw_rows(draw: Callable[[int], Tensor], rows: int, dim: int = 0) -> Tensor:
    """Random numbers for this process's rows of a batch: `draw(n)` draws for n rows, `dim` is where they are."""
    rank, processes = rank_and_processes()
    return draw(rows) if processes == 1 else draw(rows * processes).narrow(dim, rank * rows, rows)


def agreed(value: T) -> T:
    """What rank 0 says, in every process."""
    if not distributed.is_initialized():
        return value
    box: list[Any] = [value]
    distributed.broadcast_object_list(box, 0)
    return box[0]


def summed(*numbers: Tensor | float) -> list[float]:
    """Sums over all processes."""
    if not distributed.is_initialized():
        return [float(number) for number in numbers]
    total = torch.tensor([float(number) for number in numbers], dtype=torch.float64)
    distributed.all_reduce(total)
    return total.tolist()


def share_buffers(network: nn.Module) -> None:
    """Every process takes the running statistics of rank 0."""
    if distributed.is_initialized():
        for buffer in network.buffers():
            distributed.broadcast(buffer, 0)


def all_rows(x: Tensor, dim: int = 0) -> Tensor:
    """The rows of all processes, which hold equally many, in the order of the ranks."""
    if not distributed.is_initialized():
        return x
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts, dim)


def own_rows(x: Tensor, dim: int = 0) -> Tensor:
    """This process's part of what `all_rows` gave."""
    rank, processes = rank_and_processes()
    return x.chunk(processes, dim)[rank]
