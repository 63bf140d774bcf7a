"""The loops behind `cpu.py`, compiled by numba on first use (this file needs numba; import it through `cpu.py`).

A sequence is flat memory: neuron n at step t is `x[t * stride + n]`. The neurons are cut into blocks whose potentials
stay in the cache while time runs, so that the inner loop is a pass over neighbours, which the compiler turns into SIMD
code, and main memory is read and written once. A loop over time per neuron does not vectorise: 3 times as long.

No fast-math and no fused multiply-add: every rounding is that of `reference.py`, and the spikes are equal bit for bit.
Surrogate, reset and learned decay are chosen at run time outside the inner loops, so that one compiled version per
dtype serves every neuron.

`constants` is [decay, gain, threshold, level, center, scale, height] in the type that is computed in, as `cpu.py`
prepares them: x's, or float32 where x holds the bits of bfloat16. A neuron fires above the level (`LIFSpec.level`), the
last three are the surrogate's. `block` is a power of 2; `first` and `last` say which blocks a call works on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from saccade.compiled import compiled
from saccade.ops.plumbing.bfloat_kernel import narrowed, widened

Array = np.ndarray[Any, Any]

TRIANGLE, ATAN, SIGMOID, RECTANGLE = range(4)


@compiled
def _after_reset(u: Any, threshold: Any, level: Any, hard: bool) -> Any:
    if u > level:
        return u * type(u)(0) if hard else u - threshold  # not 0, for infinity times 0 is not
    return u


@compiled
def _integrate(x: Array, v: Array, u: Array, constants: Array, hard: bool) -> None:
    """One step of a block: the potentials `u` before the reset, and `v`, in place, after it."""
    decay, gain, threshold, level = constants[0], constants[1], constants[2], constants[3]
    for i in range(x.size):
        u_i = decay * v[i] + gain * widened(x[i])
        u[i] = u_i
        v[i] = _after_reset(u_i, threshold, level, hard)


@compiled
def _slopes(u: Array, slope: Array, constants: Array, kind: int) -> None:
    """The surrogate derivative at a block's potentials, with the roundings of `Surrogate.derivative`."""
    threshold, center, scale, height = constants[2], constants[4], constants[5], constants[6]
    zero, one = u.dtype.type(0), u.dtype.type(1)
    if kind == TRIANGLE:
        for i in range(u.size):
            room = scale - abs(u[i] - threshold - center)
            slope[i] = (zero if room < zero else room) * height
    elif kind == ATAN:
        for i in range(u.size):
            angle = scale * (u[i] - threshold - center)
            slope[i] = one / (one + angle * angle) * height
    elif kind == SIGMOID:
        for i in range(u.size):
            s = one / (one + np.exp(-(scale * (u[i] - threshold - center))))
            slope[i] = height * s * (one - s)
    else:
        for i in range(u.size):
            slope[i] = height if abs(u[i] - threshold - center) < scale else zero


@compiled
def _last_step_back(slope: Array, grad: Array, grad_u: Array, grad_x: Array, gain: Any) -> None:
    """Start `grad_u` at the last step, which no later step pulls at, and write `grad_x`."""
    for i in range(grad.size):
        grad_u[i] = widened(grad[i]) * slope[i]
        grad_x[i] = narrowed(gain * grad_u[i], grad_x)


@compiled
def _step_back(
    u: Array, slope: Array, grad: Array, grad_u: Array, grad_x: Array, constants: Array, hard: bool, attached: bool
) -> None:
    """Turn `grad_u` from step t + 1's into step t's, and write `grad_x`."""
    decay, gain, threshold, level = constants[0], constants[1], constants[2], constants[3]
    zero, one = u.dtype.type(0), u.dtype.type(1)
    for i in range(u.size):
        stays = one if not hard or u[i] <= level else zero
        through_spike = (u[i] if hard else threshold) * slope[i] if attached else zero
        grad_u_i = widened(grad[i]) * slope[i] + decay * grad_u[i] * (stays - through_spike)
        grad_u[i] = grad_u_i
        grad_x[i] = narrowed(gain * grad_u_i, grad_x)


@compiled
def _add_product(total: Array, a: Array, b: Array) -> None:
    for i in range(b.size):
        total[i] += a[i] * widened(b[i])


@compiled
def _add_product_after_reset(total: Array, a: Array, u: Array, threshold: Any, level: Any, hard: bool) -> None:
    for i in range(u.size):
        total[i] += a[i] * _after_reset(u[i], threshold, level, hard)


@compiled
def _tree_sum(values: Array) -> Any:
    """The sum of 2^k values, pairwise (overwrites them): accurate, and the same for any number of threads."""
    width = values.size
    while width > 1:
        width //= 2
        for i in range(width):
            values[i] += values[width + i]
    return values[0]


@compiled
def forward(
    x: Array, stride: int, spikes: Array, steps: int, constants: Array, hard: bool, block: int, first: int, last: int
) -> None:
    """Write the spikes [steps * neurons] of some blocks."""
    decay, gain, threshold, level = constants[0], constants[1], constants[2], constants[3]
    zero, one = narrowed(constants.dtype.type(0), spikes), narrowed(constants.dtype.type(1), spikes)
    neurons = spikes.size // steps
    v = np.empty(block, constants.dtype)
    for k in range(first, last):
        a, b = k * block, min((k + 1) * block, neurons)
        v[:] = 0
        for t in range(steps):
            x_t, spikes_t = x[t * stride + a : t * stride + b], spikes[t * neurons + a : t * neurons + b]
            for i in range(b - a):
                u = decay * v[i] + gain * widened(x_t[i])
                spikes_t[i] = one if u > level else zero
                v[i] = _after_reset(u, threshold, level, hard)


@compiled
def backward(
    x: Array,
    stride: int,
    grad: Array,
    grad_stride: int,
    grad_x: Array,
    learned: Array,
    steps: int,
    constants: Array,
    hard: bool,
    attached: bool,
    kind: int,
    block: int,
    first: int,
    last: int,
) -> None:
    """Write `grad_x` [steps * neurons] of some blocks. The potentials are computed again from x.

    `learned` [blocks, 2] receives each block's share of the gradients of decay and gain, unless it has no rows.
    """
    neurons = grad_x.size // steps
    dtype = constants.dtype
    u, v = np.empty((steps, block), dtype), np.empty(block, dtype)
    slope, grad_u = np.empty(block, dtype), np.empty(block, dtype)
    grad_decay, grad_gain = np.empty(block, dtype), np.empty(block, dtype)
    for k in range(first, last):
        a, b = k * block, min((k + 1) * block, neurons)
        v[:] = 0
        for t in range(steps):
            _integrate(x[t * stride + a : t * stride + b], v, u[t], constants, hard)
        grad_decay[:] = 0
        grad_gain[:] = 0
        for t in range(steps - 1, -1, -1):
            u_t, grad_t = u[t, : b - a], grad[t * grad_stride + a : t * grad_stride + b]
            _slopes(u_t, slope, constants, kind)
            grad_x_t = grad_x[t * neurons + a : t * neurons + b]
            if t == steps - 1:
                _last_step_back(slope, grad_t, grad_u, grad_x_t, constants[1])
            else:
                _step_back(u_t, slope, grad_t, grad_u, grad_x_t, constants, hard, attached)
            if learned.size:
                _add_product(grad_gain, grad_u, x[t * stride + a : t * stride + b])
                if t > 0:
                    _add_product_after_reset(grad_decay, grad_u, u[t - 1, : b - a], constants[2], constants[3], hard)
        if learned.size:
            learned[k, 0], learned[k, 1] = _tree_sum(grad_decay), _tree_sum(grad_gain)
