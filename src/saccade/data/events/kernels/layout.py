"""How a pair of 32-bit words holds an event."""

from __future__ import annotations

from typing import NamedTuple


class WordLayout(NamedTuple):
    """x = ((address >> x_shift) & x_mask) ^ x_flip, and so on. Flipping by the mask counts from the other side."""

    x_shift: int
    x_mask: int
    y_shift: int
    y_mask: int
    p_shift: int
    x_flip: int = 0
    y_flip: int = 0
    p_flip: int = 0
    #: whether the time comes before the address
    time_first: bool = False
