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


def unpack_words(address: NDArray[np.uint32], layout: WordLayout) -> tuple[Pixels, Pixels, Signs]:
    """32-bit addresses [N] -> x, y, p."""
    x = (address >> np.uint32(layout.x_shift)) & np.uint32(layout.x_mask)
    y = (address >> np.uint32(layout.y_shift)) & np.uint32(layout.y_mask)
    p = (address >> np.uint32(layout.p_shift)) & np.uint32(1)
    return (
        (x ^ np.uint32(layout.x_flip)).astype(np.uint16),
        (y ^ np.uint32(layout.y_flip)).astype(np.uint16),
        (p ^ np.uint32(layout.p_flip)).astype(np.bool_),
    )


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
