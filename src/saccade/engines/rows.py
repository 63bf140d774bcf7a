"""Answers in rows, which print as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Rows(list[Any]):
    """NamedTuples of one kind, in the order of the network; as text, a table, and a note below it."""

    def __init__(self, rows: Iterable[Any] = (), note: str = "") -> None:
        super().__init__(rows)
        self.note = note

    def __str__(self) -> str:
        lines = [self[0]._fields, *self] if self else []
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*table, *([self.note] if self.note else [])])
