"""The inference loops, compiled by numba on first use (this file needs numba; import it through `neuron.py`).

As in `ops.lif`, a sequence is flat memory, one step after the other, cut into blocks of neurons that stay in the cache
while time runs; roundings are those of the reference, so that spikes are equal to the last bit. What differs from
training: spikes may be written as bytes or over the currents, and the potentials `v` outlive the call, so that a
sequence can be fed in pieces.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from saccade.compiled import compiled

Array = np.ndarray[Any, Any]


@compiled
def fire(
    x: Array, stride: int, out: Array, v: Array, constants: Array, hard: bool, block: int, first: int, last: int
) -> None:
    """Run some blocks of neurons over the steps at hand: `x` currents, `out` spikes, `v` potentials, in and out.

    `stride` is the distance in x from a step to the next, 0 if one image stands for all steps. `out` may be `x`.
    """
    decay, gain, threshold, level = constants[0], constants[1], constants[2], constants[3]
    zero = x.dtype.type(0)
    neurons = v.size
    steps = out.size // neurons
    for k in range(first, last):
        a, b = k * block, min((k + 1) * block, neurons)
        v_k = v[a:b]
        for t in range(steps):
            x_t, out_t = x[t * stride + a : t * stride + b], out[t * neurons + a : t * neurons + b]
            if hard:
                for i in range(b - a):
                    u = decay * v_k[i] + gain * x_t[i]
                    out_t[i] = u > level
                    v_k[i] = u * zero if u > level else u
            else:
                for i in range(b - a):
                    u = decay * v_k[i] + gain * x_t[i]
                    out_t[i] = u > level
                    v_k[i] = u - threshold if u > level else u


@compiled
def count(spikes: Array, counts: Array) -> None:
    """Spikes per image and channel: bytes [images, pixels, C] -> int32 [images, C]."""
    images, pixels, channels = spikes.shape
    for n in range(images):
        for c in range(channels):
            counts[n, c] = 0
        for p in range(pixels):
            for c in range(channels):
                counts[n, c] += spikes[n, p, c]
