"""What deployment did, layer by layer."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One layer or gate: its name in the network, what it is fed, what it computes in, and why."""

    layer: str
    input: str
    precision: str
    reason: str


class Summary(list[Row]):
    """Rows in the order of the network; as text, a table."""

    def __str__(self) -> str:
        lines = [Row._fields, *self]
        widths = [max(len(line[i]) for line in lines) for i in range(len(Row._fields))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
