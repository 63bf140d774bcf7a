"""The inner loops over events: compiled where numba is installed, numpy elsewhere; the results are the same."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import ModuleType

from saccade.data.events.kernels.layout import WordLayout

__all__ = ["WordLayout", "kernels"]


@functools.cache
def kernels() -> ModuleType:
    """The module with `unpack_atis`, `unpack_pairs` and `count_events` that is fastest here."""
    name = "compiled" if importlib.util.find_spec("numba") else "reference"
    return importlib.import_module(f"saccade.data.events.kernels.{name}")
