"""The kernels behind `triton.py` (this file needs Triton; import it through `triton.py`).

A program owns a block of neurons from the first step to the last, with their potentials in registers: forward reads x
and writes the spikes, backward reads x and the incoming gradient and writes the gradient of x. The address of neuron n
at step t is `start + t * stride`, `start` a block of pointers; a block may have any shape, so that the same steps serve
other operations that end in a neuron.

Every rounding is that of `reference.py`: launch with `enable_fp_fusion=False`, or `decay * v + gain * x` becomes one
fused multiply-add and a potential that is exactly at the threshold in the reference can lie above it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import triton
import triton.language as tl

TRIANGLE = tl.constexpr(0)
ATAN = tl.constexpr(1)
SIGMOID = tl.constexpr(2)


@triton.jit
def after_reset(u: tl.tensor, threshold: tl.tensor, level: tl.tensor, HARD: tl.constexpr) -> tl.tensor:
    """The potential that the next step starts from."""
    if HARD:
        return u * tl.where(u > level, 0.0, 1.0)  # not 0, for infinity times 0 is not
    else:
        return u - tl.where(u > level, threshold, 0.0)


@triton.jit
def derivative(
    u: tl.tensor, threshold: tl.tensor, center: tl.tensor, scale: tl.tensor, KIND: tl.constexpr
) -> tl.tensor:
    """The surrogate derivative at u, as `Surrogate.derivative` computes it."""
    v = u - threshold - center
    if KIND == TRIANGLE:
        room = scale - tl.abs(v)
        return tl.where(room < 0.0, 0.0, room) * (1.0 / (scale * scale))
    elif KIND == ATAN:
        angle = 1.5707963267948966 * scale * v
        return (scale * 0.5) / (1.0 + angle * angle)
    elif KIND == SIGMOID:
        s = 1.0 / (1.0 + tl.exp(-(scale * v)))
        return scale * s * (1.0 - s)
    else:
        return tl.where(tl.abs(v) < scale * 0.5, 1.0 / scale, 0.0)


@triton.jit
def load_current(
    start: tl.tensor, stride: tl.tensor, inside: tl.tensor, slope: tl.tensor, offset: tl.tensor,
    t: tl.constexpr, AFFINE: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """x_t in float32; with AFFINE, slope * x_t + offset."""
    x = tl.load(start + t * stride, mask=inside, other=0.0).to(tl.float32)
    if AFFINE:
        x = slope * x + offset
    return x


@triton.jit
def walk_forward(
    start: tl.tensor, stride: tl.tensor, spikes: tl.tensor, spikes_stride: tl.tensor, inside: tl.tensor,
    slope: tl.tensor, offset: tl.tensor, decay: tl.tensor, gain: tl.tensor, threshold: tl.tensor, level: tl.tensor,
    STEPS: tl.constexpr, HARD: tl.constexpr, AFFINE: tl.constexpr,
) -> None:  # fmt: skip
    """Write the spikes of a block of neurons. The next step's current is asked for before this step's are stored."""
    x = load_current(start, stride, inside, slope, offset, 0, AFFINE)
    v = tl.zeros_like(x)
    for t in tl.static_range(STEPS):
        u = decay * v + gain * x
        if t + 1 < STEPS:
            x = load_current(start, stride, inside, slope, offset, t + 1, AFFINE)
        fired = tl.where(u > level, 1.0, 0.0)
        tl.store(spikes + t * spikes_stride, fired.to(spikes.dtype.element_ty), mask=inside)
        v = after_reset(u, threshold, level, HARD)


@triton.jit
def walk_back(
    start: tl.tensor, stride: tl.tensor, grad: tl.tensor, grad_stride: tl.tensor,
    grad_x: tl.tensor, grad_x_stride: tl.tensor, inside: tl.tensor, slope: tl.tensor, offset: tl.tensor, v: tl.tensor,
    decay: tl.tensor, gain: tl.tensor, threshold: tl.tensor, level: tl.tensor, center: tl.tensor, scale: tl.tensor,
    mean: tl.tensor, t: tl.constexpr, STEPS: tl.constexpr, HARD: tl.constexpr, ATTACHED: tl.constexpr,
    KIND: tl.constexpr, AFFINE: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Step t on the way there, the steps after it, and step t on the way back.

    Calls itself with t + 1, which Triton resolves when it compiles: every potential stays in a register of its own.
    `grad_x` receives gain * grad_u, the gradient of the current (of what x was mapped to, with AFFINE).

    Returns, per neuron: the gradient of the potential that this step started from (`v`), and the shares of decay and
    gain in their gradients, and the sums of `grad_x` and of `grad_x * (x - mean)`; all from this step on.
    """
    x = tl.load(start + t * stride, mask=inside, other=0.0).to(tl.float32)
    current = slope * x + offset if AFFINE else x
    u = decay * v + gain * current
    s = derivative(u, threshold, center, scale, KIND)
    if t + 1 < STEPS:
        grad_v, sum_decay, sum_gain, sum_grad, sum_grad_x = walk_back(
            start, stride, grad, grad_stride, grad_x, grad_x_stride, inside, slope, offset,
            after_reset(u, threshold, level, HARD), decay, gain, threshold, level, center, scale,
            mean, t + 1, STEPS, HARD, ATTACHED, KIND, AFFINE,
        )  # fmt: skip
        stays = tl.where(u > level, 0.0, 1.0) if HARD else tl.zeros_like(u) + 1.0
        if ATTACHED:
            stays -= (u if HARD else threshold) * s
        grad_u = tl.load(grad + t * grad_stride, mask=inside, other=0.0).to(tl.float32) * s + grad_v * stays
    else:
        sum_decay = tl.zeros_like(u)
        sum_gain = tl.zeros_like(u)
        sum_grad = tl.zeros_like(u)
        sum_grad_x = tl.zeros_like(u)
        grad_u = tl.load(grad + t * grad_stride, mask=inside, other=0.0).to(tl.float32) * s
    grad_current = gain * grad_u
    tl.store(grad_x + t * grad_x_stride, grad_current.to(grad_x.dtype.element_ty), mask=inside)
    return (
        decay * grad_u,
        sum_decay + grad_u * v,
        sum_gain + grad_u * current,
        sum_grad + grad_current,
        sum_grad_x + grad_current * (x - mean),
    )


if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 6):
    # Triton's cache key of a function is made of those of the functions it calls: older ones recur without end
    walk_back.hash = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


@triton.jit
def forward(
    x: tl.tensor, stride: tl.tensor, spikes: tl.tensor, decay_at: tl.tensor, gain_at: tl.tensor,
    decay: tl.tensor, gain: tl.tensor, threshold: tl.tensor, level: tl.tensor, neurons: tl.tensor,
    STEPS: tl.constexpr, HARD: tl.constexpr, LEARNED: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """Spikes [STEPS * neurons] of a LIF. With LEARNED, decay and gain are read from memory."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < neurons
    if LEARNED:
        decay = tl.load(decay_at).to(tl.float32)
        gain = tl.load(gain_at).to(tl.float32)
    walk_forward(
        x + n, stride, spikes + n, neurons, inside, 1.0, 0.0, decay, gain, threshold, level, STEPS, HARD, False
    )


@triton.jit
def backward(
    x: tl.tensor, stride: tl.tensor, grad: tl.tensor, grad_stride: tl.tensor, grad_x: tl.tensor, shares: tl.tensor,
    decay_at: tl.tensor, gain_at: tl.tensor, decay: tl.tensor, gain: tl.tensor, threshold: tl.tensor, level: tl.tensor,
    center: tl.tensor, scale: tl.tensor, neurons: tl.tensor,
    STEPS: tl.constexpr, HARD: tl.constexpr, ATTACHED: tl.constexpr, KIND: tl.constexpr, LEARNED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """grad_x [STEPS * neurons] of a LIF; with LEARNED, this block's share of decay's and gain's gradients too."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < neurons
    if LEARNED:
        decay = tl.load(decay_at).to(tl.float32)
        gain = tl.load(gain_at).to(tl.float32)
    _, sum_decay, sum_gain, _, _ = walk_back(
        x + n, stride, grad + n, grad_stride, grad_x + n, neurons, inside, 1.0, 0.0,
        tl.zeros([BLOCK], tl.float32), decay, gain, threshold, level, center, scale,
        0.0, 0, STEPS, HARD, ATTACHED, KIND, False,
    )  # fmt: skip
    if LEARNED:
        tl.store(shares + 2 * tl.program_id(0), tl.sum(sum_decay, 0))
        tl.store(shares + 2 * tl.program_id(0) + 1, tl.sum(sum_gain, 0))
