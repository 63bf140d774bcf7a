"""The inner loops over events, in numpy: readable, and what runs where numba is not installed.

Letters: N events, T frames, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saccade.data.events.kernels.layout import WordLayout

Times = NDArray[np.int64]
Pixels = NDArray[np.uint16]
Signs = NDArray[np.bool_]


def unpack_atis(raw: NDArray[np.uint8]) -> tuple[Times, Pixels, Pixels, Signs]:
    """5-byte ATIS records [5 N] -> t, x, y, p.

    Byte 0 is x, byte 1 is y, the top bit of byte 2 the polarity, and the remaining 23 bits t, most significant first.
    """
    b = raw.reshape(-1, 5)
    t = (b[:, 2] & 127).astype(np.int64) << 16
    t |= b[:, 3].astype(np.int64) << 8
    t |= b[:, 4]
    return t, b[:, 0].astype(np.uint16), b[:, 1].astype(np.uint16), (b[:, 2] >> 7).astype(np.bool_)


def unpack_pairs(pairs: NDArray[np.uint32], layout: WordLayout) -> tuple[Times, Pixels, Pixels, Signs, int, int]:
    """Pairs of address and time [2 N] -> t, x, y, p, and all addresses and all times or-ed together bit by bit.

    The last two tell at once whether any event sets a bit that it must not set.
    """
    address, t = (pairs[1::2], pairs[0::2]) if layout.time_first else (pairs[0::2], pairs[1::2])
    x = ((address >> layout.x_shift) & layout.x_mask) ^ layout.x_flip
    y = ((address >> layout.y_shift) & layout.y_mask) ^ layout.y_flip
    p = ((address >> layout.p_shift) & 1) ^ layout.p_flip
    seen = (int(np.bitwise_or.reduce(address)), int(np.bitwise_or.reduce(t)))
    return t.astype(np.int64), x.astype(np.uint16), y.astype(np.uint16), p.astype(np.bool_), *seen


def count_events(
    x: Pixels,
    y: Pixels,
    p: Signs,
    cuts: NDArray[np.int64],
    frames: NDArray[np.unsignedinteger],
) -> None:
    """Add events [N] to zeroed `frames` [T, 2, H, W]; frame k takes the events from cuts[k] up to cuts[k + 1]."""
    steps, _, height, width = frames.shape
    first, last = int(cuts[0]), int(cuts[-1])
    frame = np.repeat(np.arange(steps), np.diff(cuts))
    cell = ((frame * 2 + p[first:last]) * height + y[first:last]) * width + x[first:last]
    frames += np.bincount(cell, minlength=frames.size).reshape(frames.shape).astype(frames.dtype)
