"""The inner loops over events, compiled by numba: one pass, no temporary arrays. Equal to `reference` bit for bit.

Importing this needs numba. The first call in a fresh installation compiles; the result is kept on disk. Indices are not
checked here, but by the functions of this package that choose between these loops and those of `reference`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.compiled import compiled
from saccade.data.events.kernels.layout import WordLayout
from saccade.data.events.kernels.reference import Pixels, Signs, Times


def unpack_atis(raw: NDArray[np.uint8]) -> tuple[Times, Pixels, Pixels, Signs]:
    """See `reference.unpack_atis`."""
    n = len(raw) // 5
    t = np.empty(n, np.int64)
    x, y, p = _columns(n)
    _unpack_atis(raw, t, x, y, p)
    return t, x, y, p


def unpack_pairs(pairs: NDArray[np.uint32], layout: WordLayout) -> tuple[Times, Pixels, Pixels, Signs, int, int]:
    """See `reference.unpack_pairs`."""
    n = len(pairs) // 2
    t = np.empty(n, np.int64)
    x, y, p = _columns(n)
    addresses, times = _unpack_pairs(pairs, np.array(layout, np.uint32), t, x, y, p)
    return t, x, y, p, int(addresses), int(times)


@compiled
def count_events(x: Any, y: Any, p: Any, cuts: Any, frames: Any) -> None:
    """See `reference.count_events`."""
    steps, _, height, width = frames.shape
    first = cuts[0]
    cell = np.empty(cuts[-1] - first, np.uint32)
    for i in range(len(cell)):  # a loop of its own, so that it is done for several events at once
        row = np.uint32(p[first + i]) * np.uint32(height) + np.uint32(y[first + i])
        cell[i] = row * np.uint32(width) + np.uint32(x[first + i])
    for k in range(steps):
        frame = frames[k].reshape(-1)
        for i in range(cuts[k] - first, cuts[k + 1] - first):
            frame[np.uintp(cell[i])] += 1


@compiled
def _unpack_atis(raw: Any, t: Any, x: Any, y: Any, p: Any) -> None:
    for i in range(t.shape[0]):
        j = 5 * i
        x[i] = raw[j]
        y[i] = raw[j + 1]
        middle = np.int64(raw[j + 2])
        p[i] = middle >> 7
        t[i] = ((middle & 127) << 16) | (np.int64(raw[j + 3]) << 8) | np.int64(raw[j + 4])


@compiled
def _unpack_pairs(pairs: Any, layout: Any, t: Any, x: Any, y: Any, p: Any) -> Any:
    x_shift, x_mask, x_flip = layout[0], layout[1], layout[5]
    y_shift, y_mask, y_flip = layout[2], layout[3], layout[6]
    p_shift, p_flip, time_first = layout[4], layout[7], layout[8]
    addresses = times = np.uint32(0)
    for i in range(t.shape[0]):
        address = pairs[2 * i + time_first]
        time = pairs[2 * i + 1 - time_first]
        addresses |= address
        times |= time
        t[i] = time
        x[i] = ((address >> x_shift) & x_mask) ^ x_flip
        y[i] = ((address >> y_shift) & y_mask) ^ y_flip
        p[i] = ((address >> p_shift) & np.uint32(1)) ^ p_flip
    return addresses, times


def _columns(n: int) -> tuple[Pixels, Pixels, Signs]:
    return np.empty(n, np.uint16), np.empty(n, np.uint16), np.empty(n, np.bool_)
