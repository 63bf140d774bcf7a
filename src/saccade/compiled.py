"""How the CPU loops of every room are compiled, and why they may not be. numba is imported when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Loop = Callable[..., Any]


@functools.cache
def unavailable() -> str | None:
    """Why this machine cannot run compiled loops at all, or None."""
    try:
        import numba  # noqa: F401
    except ModuleNotFoundError:
        return "numba is not installed (pip install 'saccade[train]')"
    except Exception as error:  # numba does not fit the installed numpy: the type differs from release to release
        return f"numba cannot be imported ({error})"
    return None


def compiled(loop: Loop) -> Loop:
    """njit without fast-math, cached on disk beside the loop's file or in the user's cache folder, else in memory.

    A loop does not check its indices: whoever calls it with what a user gave checks them first. Other threads run
    meanwhile. A division by zero gives infinity, as in torch: Python's check for it would keep loops from being
    vectorised.
    """
    from numba import njit

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(loop)
    except RuntimeError:
        return njit(**options)(loop)
