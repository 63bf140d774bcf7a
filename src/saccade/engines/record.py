"""Which engine ran which links, written down while somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

from saccade.chain import Link


class Ran(NamedTuple):
    """A stretch of links and the engine that ran it, on an input of that shape."""

    engine: str
    links: tuple[Link, ...]
    x: Tensor


_record: ContextVar[list[Ran] | None] = ContextVar("saccade_engines", default=None)


def note(engine: str, links: Sequence[Link], x: Tensor) -> None:
    """Remember a stretch, if anybody listens."""
    if torch.compiler.is_compiling():
        return
    record = _record.get()
    if record is not None:
        record.append(Ran(engine, tuple(links), x))


@contextmanager
def recorded() -> Iterator[list[Ran]]:
    """The stretches that run in this block, in order."""
    found: list[Ran] = []
    token = _record.set(found)
    try:
        yield found
    finally:
        _record.reset(token)
