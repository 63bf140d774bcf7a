"""The transforms around Winograd's products, compiled by numba (this file needs numba; import it through `conv.py`).

A unit is a row of 2 x 2 output tiles of one frame; tile j of a unit reads columns 2j - 1 to 2j + 2 of four rows.
`transformed` and `products` are [tiles, 16, channels], of the units at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from saccade.compiled import compiled

Array = np.ndarray[Any, Any]


@compiled
def _sum(out: Array, x: Array, y: Array) -> None:
    for i in range(out.size):
        out[i] = x[i] + y[i]


@compiled
def _difference(out: Array, x: Array, y: Array) -> None:
    for i in range(out.size):
        out[i] = x[i] - y[i]


@compiled
def _tops(out: Array, x: Array, y: Array, z: Array) -> None:
    for i in range(out.size):
        out[i] = x[i] + y[i] + z[i]


@compiled
def _bottoms(out: Array, x: Array, y: Array, z: Array) -> None:
    for i in range(out.size):
        out[i] = x[i] - y[i] - z[i]


@compiled
def scatter(x: Array, transformed: Array, first: int, last: int) -> None:
    """transformed[tile, 4 k + l] = (B^T d B)[k, l] of every tile d of units first to last of x [N, H, W * C]."""
    height, line = x.shape[1], x.shape[2]
    channels = transformed.shape[2]
    width = line // channels
    across, down = (width + 1) // 2, (height + 1) // 2
    rows = np.zeros((4, (2 * across + 2) * channels), x.dtype)
    nothing = np.zeros(line, x.dtype)
    for unit in range(first, last):
        n, i = unit // down, unit % down
        r0 = x[n, 2 * i - 1] if i > 0 else nothing
        r1 = x[n, 2 * i]
        r2 = x[n, 2 * i + 1] if 2 * i + 1 < height else nothing
        r3 = x[n, 2 * i + 2] if 2 * i + 2 < height else nothing
        a, b = channels, channels + line
        _difference(rows[0, a:b], r0, r2)
        _sum(rows[1, a:b], r1, r2)
        _difference(rows[2, a:b], r2, r1)
        _difference(rows[3, a:b], r1, r3)
        for k in range(4):
            row = rows[k]
            for j in range(across):
                tile = transformed[(unit - first) * across + j]
                c = 2 * j * channels
                c0 = row[c : c + channels]
                c1 = row[c + channels : c + 2 * channels]
                c2 = row[c + 2 * channels : c + 3 * channels]
                c3 = row[c + 3 * channels : c + 4 * channels]
                _difference(tile[4 * k], c0, c2)
                _sum(tile[4 * k + 1], c1, c2)
                _difference(tile[4 * k + 2], c2, c1)
                _difference(tile[4 * k + 3], c1, c3)


@compiled
def gather(products: Array, y: Array, first: int, last: int) -> None:
    """y's tiles = A^T m A of each tile's sixteen products m, for units first to last of y [N, H, W * C]."""
    height, line = y.shape[1], y.shape[2]
    channels = products.shape[2]
    width = line // channels
    across, down = (width + 1) // 2, (height + 1) // 2
    rows = np.empty((4, 2 * across * channels), y.dtype)
    for unit in range(first, last):
        n, i = unit // down, unit % down
        for k in range(4):
            row = rows[k]
            for j in range(across):
                tile = products[(unit - first) * across + j]
                c = 2 * j * channels
                m1, m2 = tile[4 * k + 1], tile[4 * k + 2]
                _tops(row[c : c + channels], tile[4 * k], m1, m2)
                _bottoms(row[c + channels : c + 2 * channels], m1, m2, tile[4 * k + 3])
        _tops(y[n, 2 * i], rows[0], rows[1], rows[2])
        if 2 * i + 1 < height:
            _bottoms(y[n, 2 * i + 1], rows[1], rows[2], rows[3])
