"""How a 32-bit address word holds a pixel and a polarity."""

from __future__ import annotations

from typing import NamedTuple


class WordLayout(NamedTuple):
    """x = ((word >> x_shift) & x_mask) ^ x_flip, and so on. Flipping by the mask counts from the other side."""

    x_shift: int
    x_mask: int
    y_shift: int
    y_mask: int
    p_shift: int
    x_flip: int = 0
    y_flip: int = 0
    p_flip: int = 0
