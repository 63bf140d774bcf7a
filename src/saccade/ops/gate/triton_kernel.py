"""The kernels behind `triton.py` (this file needs Triton; import it through `triton.py`).

`forward` and `backward` gate element by element. `forward_planes` and `backward_planes` gate whole planes: a program
owns one picture's block of channels and walks over its pixels; an element lies at `pixel * C + c` of its picture if
channels are last, else at `c * P + pixel`.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _sigmoid(z: tl.tensor) -> tl.tensor:
    return 1.0 / (1.0 + tl.exp(-z))


@triton.jit
def forward(
    spikes: tl.tensor, a: tl.tensor, b: tl.tensor, y: tl.tensor, size: tl.tensor, TWO: tl.constexpr, BLOCK: tl.constexpr
) -> None:
    """y = sigmoid(a * b) * spikes; without TWO, b is 1."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    z = tl.load(a + n, mask=inside, other=0.0).to(tl.float32)
    if TWO:
        z *= tl.load(b + n, mask=inside, other=0.0).to(tl.float32)
    value = _sigmoid(z) * tl.load(spikes + n, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + n, value.to(y.dtype.element_ty), mask=inside)


@triton.jit
def backward(
    grad: tl.tensor, spikes: tl.tensor, a: tl.tensor, b: tl.tensor,
    grad_spikes: tl.tensor, grad_a: tl.tensor, grad_b: tl.tensor, size: tl.tensor,
    TWO: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """The gradients of spikes, a and b. The gate is computed again."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < size
    a_n = tl.load(a + n, mask=inside, other=0.0).to(tl.float32)
    b_n = tl.load(b + n, mask=inside, other=0.0).to(tl.float32) if TWO else 1.0
    g = tl.load(grad + n, mask=inside, other=0.0).to(tl.float32)
    gate = _sigmoid(a_n * b_n)
    tl.store(grad_spikes + n, (g * gate).to(grad_spikes.dtype.element_ty), mask=inside)
    slope = g * tl.load(spikes + n, mask=inside, other=0.0).to(tl.float32) * gate * (1.0 - gate)
    tl.store(grad_a + n, (slope * b_n).to(grad_a.dtype.element_ty), mask=inside)
    if TWO:
        tl.store(grad_b + n, (slope * a_n).to(grad_b.dtype.element_ty), mask=inside)


@triton.jit
def _at(pixel: tl.tensor, c: tl.tensor, channels: tl.tensor, pixels: tl.tensor, LAST: tl.constexpr) -> tl.tensor:
    n = pixel[:, None] * channels + c[None, :] if LAST else pixel[:, None] + c[None, :] * pixels
    picture = tl.program_id(0).to(tl.int64) * channels * pixels
    return picture + n, (pixel < pixels)[:, None] & (c < channels)[None, :]


@triton.jit
def forward_planes(
    spikes: tl.tensor, a: tl.tensor, y: tl.tensor, channels: tl.tensor, pixels: tl.tensor,
    LAST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
) -> None:  # fmt: skip
    """y = sigmoid(a) * spikes, with one a per picture and channel."""
    c = tl.program_id(1) * COLS + tl.arange(0, COLS)
    z = tl.load(a + tl.program_id(0).to(tl.int64) * channels + c, mask=c < channels, other=0.0).to(tl.float32)
    gate = _sigmoid(z)[None, :]
    for first in range(0, pixels, ROWS):
        n, inside = _at(first + tl.arange(0, ROWS), c, channels, pixels, LAST)
        value = gate * tl.load(spikes + n, mask=inside, other=0.0).to(tl.float32)
        tl.store(y + n, value.to(y.dtype.element_ty), mask=inside)


@triton.jit
def backward_planes(
    grad: tl.tensor, spikes: tl.tensor, a: tl.tensor, grad_spikes: tl.tensor, grad_a: tl.tensor,
    channels: tl.tensor, pixels: tl.tensor, LAST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
) -> None:  # fmt: skip
    """The gradients of spikes and a, in one pass over the pixels."""
    c = tl.program_id(1) * COLS + tl.arange(0, COLS)
    at_a = tl.program_id(0).to(tl.int64) * channels + c
    gate = _sigmoid(tl.load(a + at_a, mask=c < channels, other=0.0).to(tl.float32))
    total = tl.zeros([ROWS, COLS], tl.float32)
    for first in range(0, pixels, ROWS):
        n, inside = _at(first + tl.arange(0, ROWS), c, channels, pixels, LAST)
        g = tl.load(grad + n, mask=inside, other=0.0).to(tl.float32)
        total += g * tl.load(spikes + n, mask=inside, other=0.0).to(tl.float32)
        tl.store(grad_spikes + n, (g * gate[None, :]).to(grad_spikes.dtype.element_ty), mask=inside)
    value = tl.sum(total, 0) * gate * (1.0 - gate)
    tl.store(grad_a + at_a, value.to(grad_a.dtype.element_ty), mask=c < channels)
