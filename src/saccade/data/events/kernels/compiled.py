"""The inner loops over events, compiled by numba: one pass, no temporary arrays. Equal to `reference` bit for bit.

Importing this needs numba. The first call in a fresh installation compiles; the result is kept on disk.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from saccade.data.events.kernels.layout import WordLayout
from saccade.data.events.kernels.reference import Pixels, Signs, Times

compiled: Any = numba.njit(nogil=True, cache=True)


def unpack_atis(raw: NDArray[np.uint8]) -> tuple[Times, Pixels, Pixels, Signs]:
    """See `reference.unpack_atis`."""
    n = len(raw) // 5
    t = np.empty(n, np.int64)
    x, y, p = _columns(n)
    _unpack_atis(raw, t, x, y, p)
    return t, x, y, p


def unpack_words(address: NDArray[np.uint32], layout: WordLayout) -> tuple[Pixels, Pixels, Signs]:
    """See `reference.unpack_words`."""
    x, y, p = _columns(len(address))
    _unpack_words(address, np.array(layout, np.uint32), x, y, p)
    return x, y, p


@compiled
def count_events(x: Any, y: Any, p: Any, cuts: Any, frames: Any) -> None:
    """See `reference.count_events`."""
    for k in range(frames.shape[0]):
        frame = frames[k]
        for i in range(cuts[k], cuts[k + 1]):
            frame[np.int64(p[i]), np.int64(y[i]), np.int64(x[i])] += 1


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
def _unpack_words(address: Any, layout: Any, x: Any, y: Any, p: Any) -> None:
    x_shift, x_mask, x_flip = layout[0], layout[1], layout[5]
    y_shift, y_mask, y_flip = layout[2], layout[3], layout[6]
    p_shift, p_flip = layout[4], layout[7]
    for i in range(address.shape[0]):
        word = address[i]
        x[i] = ((word >> x_shift) & x_mask) ^ x_flip
        y[i] = ((word >> y_shift) & y_mask) ^ y_flip
        p[i] = ((word >> p_shift) & np.uint32(1)) ^ p_flip


def _columns(n: int) -> tuple[Pixels, Pixels, Signs]:
    return np.empty(n, np.uint16), np.empty(n, np.uint16), np.empty(n, np.bool_)
