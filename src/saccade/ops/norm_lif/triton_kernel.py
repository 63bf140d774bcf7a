"""The kernels behind `triton.py` (this file needs Triton; import it through `triton.py`).

A program owns a tile of positions (batch, height, width) by channels, through all steps. An element of a step lies at
`r * C + c` if channels are last, else at `(r // P) * C * P + c * P + r % P`, P pixels to a picture.
"""

from __future__ import annotations

import triton
import triton.language as tl

from saccade.ops.lif.triton_kernel import walk_back, walk_forward


@triton.jit
def tile(
    rows: tl.tensor, channels: tl.tensor, pixels: tl.tensor,
    LAST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Offsets of this program's elements in a step, which of them exist, and its channels."""
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * COLS + tl.arange(0, COLS)
    if LAST:
        n = r[:, None] * channels + c[None, :]
    else:
        n = ((r // pixels) * channels * pixels + r % pixels)[:, None] + c[None, :] * pixels
    return n, (r < rows)[:, None] & (c < channels)[None, :], c


@triton.jit
def forward(
    x: tl.tensor, spikes: tl.tensor, slope: tl.tensor, offset: tl.tensor, decay: tl.tensor, gain: tl.tensor,
    threshold: tl.tensor, level: tl.tensor, rows: tl.tensor, channels: tl.tensor, pixels: tl.tensor,
    STEPS: tl.constexpr, HARD: tl.constexpr, LAST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
) -> None:  # fmt: skip
    """Spikes of a LIF whose current is slope[c] * x + offset[c]."""
    n, inside, c = tile(rows, channels, pixels, LAST, ROWS, COLS)
    slope_c = tl.load(slope + c, mask=c < channels, other=0.0)[None, :]
    offset_c = tl.load(offset + c, mask=c < channels, other=0.0)[None, :]
    neurons = rows * channels
    walk_forward(
        x + n, neurons, spikes + n, neurons, inside, slope_c, offset_c, decay, gain, threshold, level,
        STEPS, HARD, True,
    )  # fmt: skip


@triton.jit
def backward(
    x: tl.tensor, grad: tl.tensor, grad_y: tl.tensor, sums: tl.tensor, slope: tl.tensor, offset: tl.tensor,
    mean: tl.tensor, decay: tl.tensor, gain: tl.tensor, threshold: tl.tensor, level: tl.tensor,
    center: tl.tensor, scale: tl.tensor, rows: tl.tensor, channels: tl.tensor, pixels: tl.tensor,
    STEPS: tl.constexpr, HARD: tl.constexpr, ATTACHED: tl.constexpr, KIND: tl.constexpr,
    LAST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
) -> None:  # fmt: skip
    """The gradient of the current, and this tile's sums per channel of it and of it times (x - mean)."""
    n, inside, c = tile(rows, channels, pixels, LAST, ROWS, COLS)
    slope_c = tl.load(slope + c, mask=c < channels, other=0.0)[None, :]
    offset_c = tl.load(offset + c, mask=c < channels, other=0.0)[None, :]
    mean_c = tl.load(mean + c, mask=c < channels, other=0.0)[None, :]
    neurons = rows * channels
    _, _, _, sum_grad, sum_grad_x = walk_back(
        x + n, neurons, grad + n, neurons, grad_y + n, neurons, inside, slope_c, offset_c,
        tl.zeros([ROWS, COLS], tl.float32), decay, gain, threshold, level, center, scale,
        mean_c, 0, STEPS, HARD, ATTACHED, KIND, True,
    )  # fmt: skip
    at = sums + tl.program_id(0).to(tl.int64) * 2 * channels + c
    tl.store(at, tl.sum(sum_grad, 0), mask=c < channels)
    tl.store(at + channels, tl.sum(sum_grad_x, 0), mask=c < channels)


@triton.jit
def combine(
    grad_y: tl.tensor, x: tl.tensor, of_grad: tl.tensor, of_x: tl.tensor, constant: tl.tensor,
    rows: tl.tensor, channels: tl.tensor, pixels: tl.tensor,
    LAST: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
) -> None:  # fmt: skip
    """grad_y <- of_grad[c] * grad_y + of_x[c] * x + constant[c], in place."""
    n, inside, c = tile(rows, channels, pixels, LAST, ROWS, COLS)
    a = tl.load(of_grad + c, mask=c < channels, other=0.0)[None, :]
    b = tl.load(of_x + c, mask=c < channels, other=0.0)[None, :]
    d = tl.load(constant + c, mask=c < channels, other=0.0)[None, :]
    g = tl.load(grad_y + n, mask=inside, other=0.0).to(tl.float32)
    value = a * g + b * tl.load(x + n, mask=inside, other=0.0).to(tl.float32) + d
    tl.store(grad_y + n, value.to(grad_y.dtype.element_ty), mask=inside)
