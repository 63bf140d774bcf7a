"""The LIF reference: against loops written out here, against finite differences, and under torch's transforms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from lif_cases import SPECS, SURROGATES
from torch import Tensor

from saccade.ops import LIFSpec, Surrogate, lif, lif_step


def smooth_step(v: Tensor, surrogate: Surrogate) -> Tensor:
    """A function whose derivative is the surrogate: each is an integral done by hand."""
    v, a = v - surrogate.center, surrogate.scale
    if surrogate.kind == "triangle":
        inside = v.clamp(-a, a)
        return (a * inside - 0.5 * inside * inside.abs()) / a**2
    if surrogate.kind == "atan":
        return torch.atan(math.pi / 2 * a * v) / math.pi
    if surrogate.kind == "sigmoid":
        return torch.sigmoid(a * v)
    return v.clamp(-a / 2, a / 2) / a


def textbook_lif(x: Tensor, decay: Any, gain: Any, spec: LIFSpec) -> Tensor:
    """The recurrence step by step for autograd, the surrogate smuggled in by the straight-through trick."""
    v, spikes = torch.zeros_like(x[0]), []
    for x_t in x:
        u = decay * v + gain * x_t
        smooth = smooth_step(u - spec.threshold, spec.surrogate)
        s = smooth + ((u > spec.threshold).to(x.dtype) - smooth).detach()
        s_reset = s.detach() if spec.detach_reset else s
        v = u * (1 - s_reset) if spec.reset == "hard" else u - spec.threshold * s_reset
        spikes.append(s)
    return torch.stack(spikes)


def stepwise_lif(x: Tensor, decay: Any, gain: Any, spec: LIFSpec) -> Tensor:
    v, spikes = None, []
    for x_t in x:
        s, v = lif_step(x_t, v, decay, gain, spec)
        spikes.append(s)
    return torch.stack(spikes)


def gradients(function: Any, spec: LIFSpec, learned: bool) -> list[Tensor]:
    torch.manual_seed(0)
    x = (0.4 + torch.randn(6, 3, 40, dtype=torch.double)).requires_grad_()
    decay, gain = (torch.tensor(p, dtype=torch.double, requires_grad=learned) for p in (0.8, 0.9))
    spikes = function(x, decay if learned else 0.8, gain if learned else 0.9, spec)
    spikes.backward(torch.randn_like(spikes))
    assert x.grad is not None
    return [spikes.detach().round(decimals=9), x.grad, *((decay.grad, gain.grad) if learned else ())]


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_equals_the_recurrence_written_out(spec: LIFSpec, learned: bool) -> None:
    expected = gradients(textbook_lif, spec, learned)
    assert 0.1 < expected[0].mean() < 0.9
    for function in (stepwise_lif, lambda *args: lif(*args, backend="reference")):
        for ours, theirs in zip(gradients(function, spec, learned), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_surrogate_is_a_derivative(surrogate: Surrogate) -> None:
    class Smooth(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Tensor) -> Tensor:
            ctx.save_for_backward(v)
            return smooth_step(v, surrogate)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * surrogate.derivative(*ctx.saved_tensors)

    v = torch.linspace(-2.013, 2.017, 41, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(Smooth.apply, v)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_state_against_finite_differences(reset: str) -> None:
    """With the reset detached the potential is piecewise linear in x, so its true gradient is autograd's."""

    def last_potential(x: Tensor, decay: Tensor, gain: Tensor) -> Tensor:
        v: Tensor | None = None
        for x_t in x:
            _, v = lif_step(x_t, v, decay, gain, LIFSpec(1.0, reset, True))
        assert v is not None
        return v

    torch.manual_seed(1)
    x = (0.6 + torch.rand(5, 12, dtype=torch.double)).requires_grad_()
    decay, gain = (torch.tensor(p, dtype=torch.double, requires_grad=True) for p in (0.5, 0.7))
    assert torch.autograd.gradcheck(last_potential, (x, decay, gain))


def test_by_hand() -> None:
    x = torch.tensor([[1.8], [0.7], [0.8]])
    # hard: u = 1.8 (fires, v = 0), 0.7, 0.35 + 0.8 (fires)
    assert lif(x, 0.5, 1.0, LIFSpec()).flatten().tolist() == [1, 0, 1]
    # soft: u = 1.8 (fires, v = 0.8), 0.4 + 0.7 (fires, v = 0.1), 0.05 + 0.8
    assert lif(x, 0.5, 1.0, LIFSpec(reset="soft")).flatten().tolist() == [1, 1, 0]
    # exactly at the threshold is silence
    assert lif(torch.ones(1, 1), 0.5, 1.0, LIFSpec()).item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_integrated_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (0.1 * torch.rand(40, 500)).to(dtype).requires_grad_()
    spikes = lif(x, 0.99, 1.0, LIFSpec())
    wide = x.detach().float().requires_grad_()
    expected = lif(wide, 0.99, 1.0, LIFSpec())
    assert spikes.dtype == dtype
    assert torch.equal(spikes.float(), expected)
    assert torch.equal(stepwise_lif(x, 0.99, 1.0, LIFSpec()), spikes)
    grad = torch.randn_like(spikes)
    spikes.backward(grad)
    expected.backward(grad.float())
    assert x.grad is not None
    assert wide.grad is not None
    assert torch.equal(x.grad, wide.grad.to(dtype))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 0, 2, 3, 3), (1, 1)])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_empty_and_single(shape: tuple[int, ...], backend: str) -> None:
    x = torch.zeros(shape, requires_grad=True)
    decay, gain = (torch.tensor(0.5, requires_grad=True) for _ in range(2))
    spikes = lif(x, decay, gain, LIFSpec(), backend)
    assert spikes.shape == shape
    spikes.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape
    assert decay.grad == 0
    assert gain.grad == 0


def test_saves_its_input_alone() -> None:
    x = torch.randn(4, 10, requires_grad=True)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        lif(x, 0.5, 1.0, LIFSpec(), "reference")
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]


def test_gradients_per_sample() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(3, 5, 8, dtype=torch.double), torch.randn(8, dtype=torch.double)
    decay = torch.tensor(0.5, dtype=torch.double)

    def loss(decay: Tensor, x: Tensor) -> Tensor:
        return (lif(x, decay, 1 - decay, LIFSpec(0.3)) * weight).sum()

    together = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(None, 0))(decay, x)
    for sample in range(3):
        leaves = decay.clone().requires_grad_(), x[sample].clone().requires_grad_()
        alone = torch.autograd.grad(loss(*leaves), leaves)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[sample], b)


def test_input_errors() -> None:
    x = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"time first, but got \[4\]"):
        lif(x[:, 0], 0.5, 1.0, LIFSpec())
    with pytest.raises(ValueError, match=r"floating-point.*int64"):
        lif(x.long(), 0.5, 1.0, LIFSpec())
    with pytest.raises(ValueError, match=r"a tensor \[\] and a number"):
        lif(x, torch.tensor(0.5), 1.0, LIFSpec())
    with pytest.raises(ValueError, match=r"a tensor \[3\] and a tensor \[3\]"):
        lif(x, torch.full((3,), 0.5), torch.ones(3), LIFSpec())
    with pytest.raises(ValueError, match=r"LIF backend 'referense'. Did you mean 'reference'"):
        lif(x, 0.5, 1.0, LIFSpec(), "referense")
    with pytest.raises(ValueError, match="reset must be"):
        LIFSpec(reset="none")
    with pytest.raises(ValueError, match="scale must be positive"):
        Surrogate("atan", 0.0)
