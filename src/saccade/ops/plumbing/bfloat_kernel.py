"""Reading and writing of bfloat16 in compiled loops (this file needs numba; import it from loops alone).

`widened` and `narrowed` do nothing where memory holds the type that a loop computes in, so one loop serves all types.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def widened(number: Any) -> Any:
    """A number from memory: bits of a bfloat16 (uint16) as float32, others as they are."""
    raise NotImplementedError("only compiled loops call this")


def narrowed(number: Any, memory: Any) -> Any:
    """A number as the array that it goes to holds it: for uint16 the bits of the nearest bfloat16."""
    raise NotImplementedError("only compiled loops call this")


def _same(number: Any) -> Any:
    return number


def _shifted(number: Any) -> Any:
    return np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)


def _unchanged(number: Any, memory: Any) -> Any:
    return number


def _byte(number: Any, memory: Any) -> Any:
    return np.uint8(number)


def _nearest(number: Any, memory: Any) -> Any:
    bits = np.float32(number).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))
    return rounded if number == number else np.uint16(0x7FC0)  # rounding could make a number of a NaN


@overload(widened)
def _widened(number: Any) -> Any:
    return _shifted if number == types.uint16 else _same


@overload(narrowed)
def _narrowed(number: Any, memory: Any) -> Any:
    return {types.uint16: _nearest, types.uint8: _byte}.get(memory.dtype, _unchanged)
