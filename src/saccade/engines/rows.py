"""Answers in rows, which print as a table."""

from __future__ import annotations

from typing import Any


class Rows(list[Any]):
    """NamedTuples of one kind, in the order of the network; as text, a table."""

    def __str__(self) -> str:
        lines = [self[0]._fields, *self] if self else []
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
