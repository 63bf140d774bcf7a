"""Every Triton kernel against the reference in float64, at sizes that a GPU fills."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gpu_clock import Clock
from saccade.ops import LIFSpec, lif
from saccade.ops.norm_lif import norm_lif
from saccade.ops.surrogate import DEFAULT_SCALES, IN_KERNELS, Surrogate

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def check_kernels(clock: Clock) -> dict[str, Any]:
    """Per kernel and dtype the worst case over neurons and sizes.

    `spikes_that_differ` is from the float64 reference, a share: float32 rounds, so a potential next to the threshold
    may fall on its other side. `spikes_that_differ_in_float32` is from the reference in the same float32: must be 0.
    Gradients are compared where no spike of the neuron's sequence differs: ||ours - float64|| / ||float64||.
    """
    torch.manual_seed(0)
    return {
        "lif": {_name(d): _worst(_lif(clock, d, *case) for case in _neurons(clock)) for d in DTYPES},
        "norm_lif": {_name(d): _norm_lif(clock, d) for d in DTYPES},
    }


def _neurons(clock: Clock) -> Iterator[tuple[int, int, LIFSpec]]:
    """Steps, neurons and spec: every neuron at 6 steps, one at other numbers, since each is compiled anew."""
    neurons = 37 if clock.tiny else 100_003
    for kind, reset, detach in itertools.product(IN_KERNELS, ("hard", "soft"), (True, False)):
        yield (2 if clock.tiny else 6), neurons, LIFSpec(0.7, reset, detach, Surrogate(kind, DEFAULT_SCALES[kind]))
    for steps in (1, 3) if clock.tiny else (1, 2, 10, 20, 32):
        yield steps, neurons, LIFSpec(0.7)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _worst(rows: Any) -> dict[str, float]:
    rows = list(rows)
    return {key: max(row[key] for row in rows) for key in rows[0]}


def _lif(clock: Clock, dtype: torch.dtype, steps: int, neurons: int, spec: LIFSpec) -> dict[str, float]:
    x = (0.5 + torch.randn(steps, neurons, device=clock.device)).to(dtype)
    grad = torch.randn(steps, neurons, device=clock.device).to(dtype)
    ours = _run(x, grad, spec, "triton", torch.float32)
    plain = _run(x, grad, spec, "reference", torch.float32)
    exact = _run(x.double(), grad.double(), spec, "reference", torch.float64)
    same = (ours[0].double() == exact[0]).all(0)
    return {
        "spikes_that_differ_in_float32": float((ours[0] != plain[0]).double().mean()),
        "spikes_that_differ": float((ours[0].double() != exact[0]).double().mean()),
        "gradient_of_x": _distance(ours[1][:, same], exact[1][:, same]),
        "gradient_of_decay": _distance(ours[2], plain[2]),
        "gradient_of_gain": _distance(ours[3], plain[3]),
    }


def _run(x: Tensor, grad: Tensor, spec: LIFSpec, backend: str, dtype: torch.dtype) -> list[Tensor]:
    leaf = x.clone().requires_grad_()
    learned = [torch.tensor(p, device=x.device, dtype=dtype, requires_grad=True) for p in (0.8, 0.9)]
    spikes = lif(leaf, *learned, spec, backend)
    return [spikes.detach(), *torch.autograd.grad(spikes, [leaf, *learned], grad)]


def _norm_lif(clock: Clock, dtype: torch.dtype) -> dict[str, float]:
    shape = (3, 2, 5, 4, 4) if clock.tiny else (6, 16, 128, 16, 16)
    x = torch.randn(shape, device=clock.device).to(dtype).flatten(0, 1)
    x = x.to(memory_format=torch.channels_last).unflatten(0, shape[:2])
    grad = torch.randn_like(x)
    found = []
    for backend, wide in (("triton", False), ("reference", True)):
        norm = nn.BatchNorm2d(shape[2], device=clock.device, dtype=torch.double if wide else torch.float32)
        leaf = (x.double() if wide else x.clone()).requires_grad_()
        spikes = norm_lif(leaf, norm, 0.5, 1.0, LIFSpec(), backend)
        wanted = [leaf, norm.weight, norm.bias]
        found.append([spikes.detach(), *torch.autograd.grad(spikes, wanted, grad.to(spikes.dtype))])
    ours, exact = found
    same = (ours[0].double() == exact[0]).all(0, keepdim=True).expand_as(x)
    return {
        "spikes_that_differ": float((ours[0].double() != exact[0]).double().mean()),
        "gradient_of_x": _distance(ours[1][same], exact[1][same]),
        "gradient_of_weight": _distance(ours[2], exact[2]),
        "gradient_of_bias": _distance(ours[3], exact[3]),
    }


def _distance(ours: Tensor, exact: Tensor) -> float:
    """||ours - exact|| / ||exact||; 0 of nothing, infinite if not a number."""
    if not exact.numel():
        return 0.0
    found = float((ours.double() - exact.double()).norm() / exact.double().norm().clamp(min=1e-30))
    return found if found == found else float("inf")
