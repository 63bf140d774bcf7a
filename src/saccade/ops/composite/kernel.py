"""The loops behind `node.py`, compiled by numba on first use (this file needs numba; import it through `node.py`).

A sequence is flat channels-last memory, [T * B * H * W, C]: neuron n of step t is `x[t * neurons + n]`, of channel
n % C. Where a loop takes a number per channel, it is given it repeated to the length of a block of neurons, so that the
inner loops are passes over neighbours that the compiler turns into SIMD code. No fast-math: the neuron's roundings are
the reference's.

Every loop works on its units `first` to `last` and adds what it sums up to row `part` of an array, so that parts can
run in threads of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from saccade.compiled import compiled
from saccade.ops.lif.cpu_kernel import _after_reset, _integrate, _last_step_back, _slopes, _step_back

Array = np.ndarray[Any, Any]

ROWS = 256  # pixels whose sums are taken in x's own precision before they are added up in float64


@compiled
def moments(x: Array, center: Array, totals: Array, first: int, last: int, part: int) -> None:
    """Per channel, `totals[part]` += sums of x - center and of its square, over units of ROWS pixels."""
    channels = center.size
    sums, squares = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    for unit in range(first, last):
        sums[:] = 0
        squares[:] = 0
        for start in range(unit * ROWS * channels, min((unit + 1) * ROWS * channels, x.size), channels):
            pixel = x[start : start + channels]
            for c in range(channels):
                d = pixel[c] - center[c]
                sums[c] += d
                squares[c] += d * d
        totals[part, 0] += sums
        totals[part, 1] += squares


@compiled
def spikes(
    x: Array, slope: Array, offset: Array, out: Array, steps: int, constants: Array, hard: bool,
    first: int, last: int, part: int,
) -> None:  # fmt: skip
    """`out` = the spikes of a LIF on slope * x + offset, over units of one block."""
    decay, gain, threshold, level = constants[0], constants[1], constants[2], constants[3]
    neurons, block = x.size // steps, slope.size
    zero, one = out.dtype.type(0), out.dtype.type(1)
    v = np.empty(block, x.dtype)
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, neurons)
        v[:] = 0
        for t in range(steps):
            x_t, out_t = x[t * neurons + a : t * neurons + b], out[t * neurons + a : t * neurons + b]
            for i in range(b - a):
                u = decay * v[i] + gain * (slope[i] * x_t[i] + offset[i])
                out_t[i] = one if u > level else zero
                v[i] = _after_reset(u, threshold, level, hard)


@compiled
def gradient(
    x: Array, slope: Array, offset: Array, center: Array, grad: Array, totals: Array, steps: int, constants: Array,
    hard: bool, attached: bool, kind: int, first: int, last: int, part: int,
) -> None:  # fmt: skip
    """Turn `grad`, of the spikes, into that of the currents slope * x + offset, in place; units of one block.

    `totals[part]` [2, block] += its sums and those of its product with x - center.
    """
    neurons, block = x.size // steps, slope.size
    u, v, current = np.empty((steps, block), x.dtype), np.empty(block, x.dtype), np.empty(block, x.dtype)
    slopes, grad_u, g = np.empty(block, x.dtype), np.empty(block, x.dtype), np.empty(block, x.dtype)
    sums, products = np.empty(block, x.dtype), np.empty(block, x.dtype)
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, neurons)
        width = b - a
        v[:] = 0
        sums[:] = 0
        products[:] = 0
        for t in range(steps):
            x_t = x[t * neurons + a : t * neurons + b]
            for i in range(width):
                current[i] = slope[i] * x_t[i] + offset[i]
            _integrate(current[:width], v, u[t], constants, hard)
        for t in range(steps - 1, -1, -1):
            u_t = u[t, :width]
            x_t, grad_t = x[t * neurons + a : t * neurons + b], grad[t * neurons + a : t * neurons + b]
            _slopes(u_t, slopes, constants, kind)
            if t == steps - 1:
                _last_step_back(slopes, grad_t, grad_u, g[:width], constants[1])
            else:
                _step_back(u_t, slopes, grad_t, grad_u, g[:width], constants, hard, attached)
            for i in range(width):
                sums[i] += g[i]
                products[i] += g[i] * (x_t[i] - center[i])
            grad_t[:] = g[:width]
        totals[part, 0] += sums
        totals[part, 1] += products


@compiled
def combine(
    grad: Array, x: Array, of_grad: Array, of_x: Array, constant: Array, first: int, last: int, part: int
) -> None:
    """grad = of_grad * grad + of_x * x + constant, in place; units of one block."""
    block = of_grad.size
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, x.size)
        grad_k, x_k = grad[a:b], x[a:b]
        for i in range(b - a):
            grad_k[i] = of_grad[i] * grad_k[i] + of_x[i] * x_k[i] + constant[i]


@compiled
def pool(s: Array, out: Array, mean: Array, largest: bool, first: int, last: int, part: int) -> None:
    """2 x 2 pooling of spikes [N, H, W, C] into `out`, and their mean over H, W into `mean` [N or 0, C], by frames."""
    _, height, width, channels = out.shape
    quarter = out.dtype.type(0.25)
    for n in range(first, last):
        for h in range(height):
            for w in range(width):
                p, q = s[n, 2 * h, 2 * w], s[n, 2 * h, 2 * w + 1]
                r, z = s[n, 2 * h + 1, 2 * w], s[n, 2 * h + 1, 2 * w + 1]
                o = out[n, h, w]
                if largest:
                    for c in range(channels):
                        o[c] = p[c] | q[c] | r[c] | z[c]
                else:
                    for c in range(channels):
                        o[c] = (p[c] + q[c] + r[c] + z[c]) * quarter
        if len(mean):
            total = mean[n]
            total[:] = 0
            for h in range(s.shape[1]):
                for w in range(s.shape[2]):
                    pixel = s[n, h, w]
                    for c in range(channels):
                        total[c] += pixel[c]
            total /= out.dtype.type(s.shape[1] * s.shape[2])


@compiled
def unpool(
    grad: Array, s: Array, grad_mean: Array, out: Array, largest: bool, first: int, last: int, part: int
) -> None:
    """`out` = the gradient of the spikes from those of `pool`'s results; of equal spikes the first is the largest."""
    _, height, width, channels = grad.shape
    zero, quarter = out.dtype.type(0), out.dtype.type(0.25)
    for n in range(first, last):
        if s.shape[1] % 2:
            out[n, s.shape[1] - 1] = 0
        if s.shape[2] % 2:
            out[n, :, s.shape[2] - 1] = 0
        for h in range(height):
            for w in range(width):
                p, q = s[n, 2 * h, 2 * w], s[n, 2 * h, 2 * w + 1]
                r, z = s[n, 2 * h + 1, 2 * w], s[n, 2 * h + 1, 2 * w + 1]
                op, oq = out[n, 2 * h, 2 * w], out[n, 2 * h, 2 * w + 1]
                o_r, oz = out[n, 2 * h + 1, 2 * w], out[n, 2 * h + 1, 2 * w + 1]
                g = grad[n, h, w]
                if largest:
                    for c in range(channels):
                        before_r = p[c] | q[c]
                        before_z = before_r | r[c]
                        oq[c] = g[c] if q[c] > p[c] else zero
                        o_r[c] = g[c] if r[c] > before_r else zero
                        oz[c] = g[c] if z[c] > before_z else zero
                        op[c] = g[c] if p[c] >= (before_z | z[c]) else zero
                else:
                    for c in range(channels):
                        share = g[c] * quarter
                        op[c] = share
                        oq[c] = share
                        o_r[c] = share
                        oz[c] = share
        if len(grad_mean):
            pixels = out.dtype.type(s.shape[1] * s.shape[2])
            share_n = grad_mean[n] / pixels
            for h in range(s.shape[1]):
                for w in range(s.shape[2]):
                    o = out[n, h, w]
                    for c in range(channels):
                        o[c] += share_n[c]
