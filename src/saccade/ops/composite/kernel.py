"""The loops behind `node.py`, compiled by numba on first use (this file needs numba; import it through `node.py`).

A sequence is flat channels-last memory, [T * B * H * W, C]: neuron n of step t is `x[t * neurons + n]`, of channel
n % C. Where a loop takes a number per channel, it is given it repeated to the length of a block of neurons, so that the
inner loops are passes over neighbours that the compiler turns into SIMD code. No fast-math: the neuron's roundings are
the reference's. Of bfloat16 a loop sees the bits, and computes in float32.

Every loop works on its units `first` to `last` and adds what it sums up to row `part` of an array, so that parts can
run in threads of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from saccade.compiled import compiled
from saccade.ops.lif.cpu_kernel import _after_reset, _integrate, _last_step_back, _slopes, _step_back
from saccade.ops.plumbing.bfloat_kernel import narrowed, widened

Array = np.ndarray[Any, Any]

ROWS = 64  # numbers that are summed up in the type computed in before they are added to a float64


@compiled
def moments(x: Array, center: Array, totals: Array, first: int, last: int, part: int) -> None:
    """Per channel, `totals[part]` [2, block] += sums of x - center and of its square, over units of ROWS blocks."""
    block = center.size
    sums, squares = np.empty(block, center.dtype), np.empty(block, center.dtype)
    for unit in range(first, last):
        sums[:] = 0
        squares[:] = 0
        for start in range(unit * ROWS * block, min((unit + 1) * ROWS * block, x.size), block):
            x_k = x[start : min(start + block, x.size)]
            for i in range(x_k.size):
                d = widened(x_k[i]) - center[i]
                sums[i] += d
                squares[i] += d * d
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
    zero, one = narrowed(slope.dtype.type(0), out), narrowed(slope.dtype.type(1), out)
    v = np.empty(block, slope.dtype)
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, neurons)
        v[:] = 0
        for t in range(steps):
            x_t, out_t = x[t * neurons + a : t * neurons + b], out[t * neurons + a : t * neurons + b]
            for i in range(b - a):
                u = decay * v[i] + gain * (slope[i] * widened(x_t[i]) + offset[i])
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
    neurons, block, dtype = x.size // steps, slope.size, slope.dtype
    u, v, current = np.empty((steps, block), dtype), np.empty(block, dtype), np.empty(block, dtype)
    slopes, grad_u, g = np.empty(block, dtype), np.empty(block, dtype), np.empty(block, dtype)
    sums, products = np.empty(block, dtype), np.empty(block, dtype)
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, neurons)
        width = b - a
        v[:] = 0
        sums[:] = 0
        products[:] = 0
        for t in range(steps):
            x_t = x[t * neurons + a : t * neurons + b]
            for i in range(width):
                current[i] = slope[i] * widened(x_t[i]) + offset[i]
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
                products[i] += g[i] * (widened(x_t[i]) - center[i])
                grad_t[i] = narrowed(g[i], grad_t)
        totals[part, 0] += sums
        totals[part, 1] += products


@compiled
def combine(
    out: Array, grad: Array, x: Array, of_grad: Array, of_x: Array, constant: Array, first: int, last: int, part: int
) -> None:
    """out = of_grad * grad + of_x * x + constant, which may be grad itself; units of one block."""
    block = of_grad.size
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, x.size)
        out_k, grad_k, x_k = out[a:b], grad[a:b], x[a:b]
        for i in range(b - a):
            back = of_grad[i] * widened(grad_k[i]) + of_x[i] * widened(x_k[i]) + constant[i]
            out_k[i] = narrowed(back, out_k)


@compiled
def products(grad: Array, x: Array, center: Array, totals: Array, first: int, last: int, part: int) -> None:
    """Per channel, `totals[part]` [2, block] += sums of grad and of grad * (x - center), over units of ROWS blocks."""
    block = center.size
    sums, weighted = np.empty(block, center.dtype), np.empty(block, center.dtype)
    for unit in range(first, last):
        sums[:] = 0
        weighted[:] = 0
        for start in range(unit * ROWS * block, min((unit + 1) * ROWS * block, x.size), block):
            end = min(start + block, x.size)
            grad_k, x_k = grad[start:end], x[start:end]
            for i in range(x_k.size):
                g = widened(grad_k[i])
                sums[i] += g
                weighted[i] += g * (widened(x_k[i]) - center[i])
        totals[part, 0] += sums
        totals[part, 1] += weighted


@compiled
def add(x: Array, slope: Array, offset: Array, other: Array, out: Array, first: int, last: int, part: int) -> None:
    """out = slope * x + offset + other; units of one block."""
    block = slope.size
    for unit in range(first, last):
        a, b = unit * block, min((unit + 1) * block, x.size)
        x_k, other_k, out_k = x[a:b], other[a:b], out[a:b]
        for i in range(b - a):
            out_k[i] = narrowed(slope[i] * widened(x_k[i]) + offset[i] + widened(other_k[i]), out_k)


@compiled
def _spread(values: Array, out: Array) -> None:
    """A number per channel, repeated to the length of `out`."""
    for i in range(out.size):
        out[i] = values[i % values.size]


@compiled
def _folded(values: Array, out: Array) -> None:
    """`_spread` backwards: sums per channel."""
    out[:] = 0
    for start in range(0, values.size, out.size):
        for c in range(out.size):
            out[c] += values[start + c]


@compiled
def average(x: Array, mean: Array, block: int, first: int, last: int, part: int) -> None:
    """mean [N, C] of x [N, H * W * C], by frames."""
    sums = np.empty(block, mean.dtype)
    for n in range(first, last):
        sums[:] = 0
        for start in range(0, x.shape[1], block):
            x_k = x[n, start : min(start + block, x.shape[1])]
            for i in range(x_k.size):
                sums[i] += widened(x_k[i])
        _folded(sums, mean[n])
        mean[n] /= mean.dtype.type(x.shape[1] // mean.shape[1])


@compiled
def add_share(x: Array, mean: Array, block: int, first: int, last: int, part: int) -> None:
    """x [N, H * W * C] += mean [N, C] / (H * W), by frames: `average` backwards."""
    share, pixels = np.empty(block, mean.dtype), mean.dtype.type(x.shape[1] // mean.shape[1])
    for n in range(first, last):
        _spread(mean[n] / pixels, share)
        for start in range(0, x.shape[1], block):
            x_k = x[n, start : min(start + block, x.shape[1])]
            for i in range(x_k.size):
                x_k[i] = narrowed(widened(x_k[i]) + share[i], x)


@compiled
def scale(x: Array, gate: Array, out: Array, block: int, first: int, last: int, part: int) -> None:
    """out = x * gate for x [N, H * W * C] and gate [N, C], by frames."""
    g = np.empty(block, gate.dtype)
    for n in range(first, last):
        _spread(gate[n], g)
        for start in range(0, x.shape[1], block):
            end = min(start + block, x.shape[1])
            x_k, out_k = x[n, start:end], out[n, start:end]
            for i in range(x_k.size):
                out_k[i] = narrowed(widened(x_k[i]) * g[i], out)


@compiled
def scale_back(
    grad: Array, x: Array, gate: Array, out: Array, of_gate: Array, block: int, first: int, last: int, part: int
) -> None:
    """out = grad * gate, and of_gate [N, C] = the sum over H, W of grad * x, by frames."""
    g, sums = np.empty(block, gate.dtype), np.empty(block, gate.dtype)
    for n in range(first, last):
        _spread(gate[n], g)
        sums[:] = 0
        for start in range(0, x.shape[1], block):
            end = min(start + block, x.shape[1])
            grad_k, x_k, out_k = grad[n, start:end], x[n, start:end], out[n, start:end]
            for i in range(x_k.size):
                back = widened(grad_k[i])
                sums[i] += back * widened(x_k[i])
                out_k[i] = narrowed(back * g[i], out)
        _folded(sums, of_gate[n])


@compiled
def pool(s: Array, out: Array, mean: Array, largest: bool, first: int, last: int, part: int) -> None:
    """2 x 2 pooling of spikes [N, H, W, C] into `out`, and their mean over H, W into `mean` [N or 0, C], by frames."""
    _, height, width, channels = out.shape
    quarter = mean.dtype.type(0.25)
    for n in range(first, last):
        for h in range(height):
            for w in range(width):
                p, q = s[n, 2 * h, 2 * w], s[n, 2 * h, 2 * w + 1]
                r, z = s[n, 2 * h + 1, 2 * w], s[n, 2 * h + 1, 2 * w + 1]
                o = out[n, h, w]
                if largest:
                    for c in range(channels):
                        o[c] = narrowed(mean.dtype.type(p[c] | q[c] | r[c] | z[c]), o)
                else:
                    for c in range(channels):
                        o[c] = narrowed((p[c] + q[c] + r[c] + z[c]) * quarter, o)
        if len(mean):
            total = mean[n]
            total[:] = 0
            for h in range(s.shape[1]):
                for w in range(s.shape[2]):
                    pixel = s[n, h, w]
                    for c in range(channels):
                        total[c] += pixel[c]
            total /= mean.dtype.type(s.shape[1] * s.shape[2])


@compiled
def unpool(
    grad: Array, s: Array, grad_mean: Array, out: Array, largest: bool, first: int, last: int, part: int
) -> None:
    """`out` = the gradient of the spikes from those of `pool`'s results; of equal spikes the first is the largest."""
    _, height, width, channels = grad.shape
    zero, quarter = out.dtype.type(0), grad_mean.dtype.type(0.25)  # no bit is set in a zero of any type
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
                        share = narrowed(widened(g[c]) * quarter, out)
                        op[c] = share
                        oq[c] = share
                        o_r[c] = share
                        oz[c] = share
        if len(grad_mean):
            pixels = grad_mean.dtype.type(s.shape[1] * s.shape[2])
            share_n = grad_mean[n] / pixels
            for h in range(s.shape[1]):
                for w in range(s.shape[2]):
                    o = out[n, h, w]
                    for c in range(channels):
                        o[c] = narrowed(widened(o[c]) + share_n[c], o)
