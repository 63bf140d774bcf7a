"""How the CPU loops are compiled (this file needs numba; it is imported where a loop is called)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

Loop = Callable[..., Any]


def compiled(loop: Loop) -> Loop:
    """njit without fast-math, cached on disk beside the loop's file or in the user's cache folder, else in memory.

    Other threads run meanwhile. A division by zero gives infinity, as in torch: Python's check for it would keep loops
    from being vectorised.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(loop)
    except RuntimeError:
        return njit(**options)(loop)
