"""The inner loops over events: compiled where numba works, numpy elsewhere; the results are the same.

The compiled loops do not check an index. What they are handed is checked here, whoever calls.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from saccade.compiled import unavailable
from saccade.data.events.kernels.layout import WordLayout
from saccade.data.events.kernels.reference import Pixels, Signs, Times

__all__ = ["WordLayout", "count_events", "kernels", "unpack_atis", "unpack_pairs"]


@functools.cache
def kernels() -> ModuleType:
    """The module with `unpack_atis`, `unpack_pairs` and `count_events` that is fastest here."""
    name = "reference" if unavailable() else "compiled"
    return importlib.import_module(f"saccade.data.events.kernels.{name}")


def unpack_atis(raw: NDArray[np.uint8]) -> tuple[Times, Pixels, Pixels, Signs]:
    """See `reference.unpack_atis`."""
    _require(raw.ndim == 1 and len(raw) % 5 == 0, f"{raw.shape} bytes are no whole number of 5-byte records")
    return kernels().unpack_atis(raw)


def unpack_pairs(pairs: NDArray[np.uint32], layout: WordLayout) -> tuple[Times, Pixels, Pixels, Signs, int, int]:
    """See `reference.unpack_pairs`."""
    _require(pairs.ndim == 1 and len(pairs) % 2 == 0, f"{pairs.shape} words are no pairs")
    return kernels().unpack_pairs(pairs, layout)


def count_events(x: Pixels, y: Pixels, p: Signs, cuts: NDArray[np.int64], frames: NDArray[np.unsignedinteger]) -> None:
    """See `reference.count_events`.

    Raises:
        ValueError: an event outside of the frames, cuts that do not ascend or leave the events, a frame that takes more
            events than its type can count, or arrays whose shapes or types do not fit.
    """
    steps, polarities, height, width = frames.shape
    _require(x.dtype == y.dtype == np.uint16 and p.dtype == np.bool_, f"x, y, p are {x.dtype}, {y.dtype}, {p.dtype}")
    _require(x.shape == y.shape == p.shape == (len(x),), f"x, y, p have shapes {x.shape}, {y.shape}, {p.shape}")
    _require(cuts.shape == (steps + 1,) and polarities == 2, f"cuts {cuts.shape} for frames {frames.shape}")
    _require(cuts.dtype == np.int64 and frames.dtype.kind == "u", f"cuts are {cuts.dtype}, frames {frames.dtype}")
    taken = np.diff(cuts)
    _require(
        bool(cuts[0] >= 0 and cuts[-1] <= len(x) and (taken >= 0).all()),
        f"cuts {cuts} do not ascend from 0 to {len(x)}",
    )
    _require(int(taken.max()) <= np.iinfo(frames.dtype).max, f"{taken.max()} events do not fit {frames.dtype}")
    _require(
        not len(x) or (int(x.max()) < width and int(y.max()) < height),
        f"events up to x={x.max(initial=0)}, y={y.max(initial=0)} lie outside of frames of {width} x {height} pixels",
    )
    kernels().count_events(x, y, p, cuts, frames)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"Events cannot be counted: {otherwise}.")
