"""How the CPU loops of every room are compiled, and why they may not be. numba is imported when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
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
        return _tolerant(njit(cache=True, **options)(loop))
    except RuntimeError:
        return njit(**options)(loop)


def _tolerant(loop: Loop) -> Loop:
    """The same loop with a cache that may fail: a full disk, or a damaged file there, costs a compilation alone."""
    cache = loop._cache  # type: ignore[attr-defined]  # numba has no public name for it
    save, load = cache.save_overload, cache.load_overload

    def save_overload(*arguments: Any) -> None:
        with suppress(OSError):
            save(*arguments)

    def load_overload(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # whatever unpickling a damaged file raises
            return None

    cache.save_overload, cache.load_overload = save_overload, load_overload
    return loop
