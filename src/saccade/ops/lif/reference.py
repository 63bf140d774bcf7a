"""The LIF recurrence in plain PyTorch: any dtype, any device, readable.

    u_t = decay * v_{t-1} + gain * x_t        potential before the spike, v_0 = 0
    s_t = [u_t > threshold]                   strict; inclusive: [u_t >= threshold]
    v_t = u_t * (1 - s_t) + reset_to * s_t    hard reset, to 0 unless the spec says otherwise
    v_t = u_t - threshold * s_t               soft reset

`lif_step` is one step, differentiable by autograd. `lif` is the whole sequence as one autograd node that saves its
input alone: backward computes the potentials again instead of keeping them, so that a third of what autograd saves for
the same loop is kept (a half if the reset is detached).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from saccade.ops.lif.spec import LIFSpec
from saccade.ops.surrogate import Surrogate

HALF_DTYPES = (torch.float16, torch.bfloat16)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, surrogate: Surrogate, inclusive: bool) -> Tensor:
        ctx.save_for_backward(v)
        ctx.surrogate = surrogate
        return ((v >= 0) if inclusive else (v > 0)).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (v,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(v), None, None


def lif_step(
    x_t: Tensor, v: Tensor | None, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec
) -> tuple[Tensor, Tensor]:
    """One step: the current `x_t` and the potential `v` left by the step before give `(spikes_t, v_t)`.

    Both are shaped as `x_t`. The spikes have its dtype, the potential is float32 or wider, as in `lif`.
    """
    u = _potential(x_t, v, decay, gain)
    s = _Spike.apply(u - spec.threshold, spec.surrogate, spec.inclusive)
    s_reset = s.detach() if spec.detach_reset else s
    v_t = u * (1 - s_reset) if spec.reset == "hard" else u - spec.threshold * s_reset
    v_t = v_t + spec.reset_to * s_reset if spec.reset_to else v_t
    return s.to(x_t.dtype), v_t.detach() if spec.detach_state else v_t


class _LIF(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> Tensor:
        spikes = torch.empty_like(x)
        v: Tensor | None = None
        for t in range(x.shape[0]):
            u = _potential(x[t], v, decay, gain)
            fired = _fired(u, spec)
            spikes[t] = fired
            v = _reset(u, fired, spec)
        return spikes

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, decay, gain, ctx.spec = inputs
        ctx.learned = isinstance(decay, Tensor)
        ctx.save_for_backward(x, *((decay, gain) if ctx.learned else ()))
        if not ctx.learned:
            ctx.decay, ctx.gain = decay, gain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *learned = ctx.saved_tensors
        decay, gain = learned if ctx.learned else (ctx.decay, ctx.gain)
        spec: LIFSpec = ctx.spec
        us = _potentials(x, decay, gain, spec)
        grad_x = torch.empty_like(x)
        grad_decay, grad_gain = (torch.zeros_like(p) for p in learned) if learned else (None, None)
        grad_v: Tensor | None = None  # the gradient that step t + 1 sends to the potential after step t
        for t in reversed(range(x.shape[0])):
            u = us.pop()
            slope = spec.surrogate.derivative(u - spec.threshold)
            grad_u = grad[t].to(u.dtype) * slope
            if grad_v is not None and not spec.detach_state:
                grad_u = grad_u + grad_v * _reset_slope(u, slope, spec)
            grad_x[t] = gain * grad_u
            grad_v = decay * grad_u
            if grad_decay is not None and grad_gain is not None:
                grad_gain = grad_gain + (grad_u * x[t]).sum().to(gain.dtype)
                if us:
                    v_before = _reset(us[-1], _fired(us[-1], spec), spec)
                    grad_decay = grad_decay + (grad_u * v_before).sum().to(decay.dtype)
        return grad_x, grad_decay, grad_gain, None


def _potential(x_t: Tensor, v: Tensor | None, decay: float | Tensor, gain: float | Tensor) -> Tensor:
    """u_t. Half-precision currents are integrated in float32: a membrane is a sum, and sums drift in 8 or 11 bits."""
    x_t = x_t.float() if x_t.dtype in HALF_DTYPES else x_t
    return gain * x_t if v is None else decay * v + gain * x_t


def _fired(u: Tensor, spec: LIFSpec) -> Tensor:
    return u >= spec.threshold if spec.inclusive else u > spec.threshold


def _reset(u: Tensor, fired: Tensor, spec: LIFSpec) -> Tensor:
    if spec.reset_to:
        return torch.where(fired, spec.reset_to, u)
    if spec.reset == "hard":
        return u * ~fired  # three times as fast on a CPU as masked_fill
    return u - spec.threshold * fired.to(u.dtype)


def _reset_slope(u: Tensor, slope: Tensor, spec: LIFSpec) -> Tensor | float:
    """dv_t / du_t, with the surrogate slope in place of ds_t / du_t."""
    if spec.reset == "soft":
        return 1.0 if spec.detach_reset else 1 - spec.threshold * slope
    stays = (~_fired(u, spec)).to(u.dtype)
    return stays if spec.detach_reset else stays - (u - spec.reset_to if spec.reset_to else u) * slope


def _potentials(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> list[Tensor]:
    """The potentials before each reset, computed again for backward."""
    us: list[Tensor] = []
    v: Tensor | None = None
    for t in range(x.shape[0]):
        us.append(_potential(x[t], v, decay, gain))
        v = _reset(us[-1], _fired(us[-1], spec), spec)
    return us


def lif(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> Tensor:
    """The whole sequence from rest: `x` [T, ...] -> spikes [T, ...], in x's dtype."""
    return _LIF.apply(x, decay, gain, spec)
