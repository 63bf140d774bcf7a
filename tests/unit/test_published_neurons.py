"""The neurons of released code: what makes each special, and that every engine computes it or leaves it alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade import ops
from saccade.engines.inference.neuron import Fire, packed
from saccade.nn import LIF
from saccade.nn.neuron import PUBLISHED_NEURONS
from saccade.ops import LIFSpec
from saccade.ops.lif import BACKENDS
from saccade.ops.surrogate import IN_KERNELS, Surrogate

NAMES = list(PUBLISHED_NEURONS)
every_neuron = pytest.mark.parametrize("name", NAMES)
INCLUSIVE = [
    LIFSpec(0.75, reset, detached, Surrogate(kind, 2.0), inclusive=True)
    for reset in ("hard", "soft")
    for detached in (True, False)
    for kind in IN_KERNELS
]


def on_the_grid(dtype: torch.dtype = torch.float64) -> Tensor:
    """Currents whose potentials meet the threshold exactly, now and then."""
    return torch.randint(-4, 21, (6, 2, 3, 4, 5), generator=torch.Generator().manual_seed(0)).to(dtype) / 8


@every_neuron
def test_a_sequence_is_its_steps(name: str) -> None:
    neuron = LIF.published(name)
    x, grad = on_the_grid().requires_grad_(), torch.randn(6, 2, 3, 4, 5, dtype=torch.float64)
    spikes = neuron(x)
    assert 0 < spikes.mean() < 1
    stepped = super(LIF, neuron).forward(x)
    assert torch.equal(spikes, stepped)
    (ours,), (theirs,) = (torch.autograd.grad(s, x, grad) for s in (spikes, stepped))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@every_neuron
def test_at_the_threshold(name: str) -> None:
    neuron = LIF.published(name)
    current = torch.full((1, 1), neuron.spec.threshold / neuron.gain, dtype=torch.float64)
    assert neuron(current).item() == neuron.spec.inclusive
    assert neuron(current * (1 + 1e-12)).item() == 1


@every_neuron
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_deployed_neurons_fire_the_same_spikes(name: str, dtype: torch.dtype) -> None:
    neuron = LIF.published(name)
    x = packed(on_the_grid(dtype))
    fire, out = Fire(neuron), torch.empty_like(x)
    fire(x[:2], out[:2])
    fire(x[2:], out[2:])
    assert torch.equal(out, neuron(x))


@every_neuron
def test_fused_networks_compute_what_the_reference_does(name: str) -> None:
    x, found = on_the_grid(), []
    for backend in ("auto", "reference"):
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), LIF.published(name, backend=backend), nn.MaxPool2d(2)
        net = saccade.Sequential(*layers, nn.Flatten(), nn.Linear(16, 2), steps=6, in_channels=3).double()
        y = net(x)
        y.square().sum().backward()
        found.append([y, *(p.grad for p in net.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@every_neuron
def test_a_kernel_says_what_it_does_not_know(name: str) -> None:
    if name in ("masnn", "fsta", "tim"):
        with pytest.raises(ValueError, match=r"LIF backend 'cpu' cannot run here: .* has no compiled form"):
            LIF.published(name, backend="cpu")(on_the_grid())


@pytest.mark.parametrize("backend", ["cpu", "triton"])
@pytest.mark.parametrize("spec", INCLUSIVE, ids=str)
def test_kernels_fire_at_the_threshold(spec: LIFSpec, backend: str) -> None:
    refusal = BACKENDS[backend].unavailable()
    if refusal is not None:
        pytest.skip(refusal)
    x = on_the_grid(torch.float32)
    found = []
    for way in (backend, "reference"):
        leaf = x.clone().requires_grad_()
        spikes = ops.lif(leaf, 0.5, 1.0, spec, way)
        found.append((spikes, *torch.autograd.grad(spikes, leaf, torch.ones_like(x).cumsum(0))))
    exclusive = ops.lif(x, 0.5, 1.0, replace(spec, inclusive=False), "reference")
    assert not torch.equal(found[1][0], exclusive)  # the threshold was met
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-5)


def test_masnn_goes_on_from_the_threshold() -> None:
    neuron = LIF.published("masnn")
    spikes, state = neuron.step(torch.tensor([0.4, 0.1], dtype=torch.float64))
    assert spikes.tolist() == [1, 0]
    assert state.tolist() == pytest.approx([0.3, 0.1])  # 0.3 * 0.3 = 0.09 is what the next step starts at
    spikes, _ = neuron.step(torch.full((2,), 0.211, dtype=torch.float64), state)
    assert spikes.tolist() == [1, 0]


def test_no_gradient_flows_through_time_in_tim() -> None:
    x = on_the_grid().requires_grad_()
    (grad,) = torch.autograd.grad(LIF.published("tim")(x)[-1].sum(), x)
    assert grad[-1].any()
    assert not grad[:-1].any()


def test_fstas_surrogate() -> None:
    surrogate = LIF.published("fsta").spec.surrogate
    u = torch.linspace(-1, 2, 3001, dtype=torch.float64)
    expected = (1 - torch.tanh(u - 0.5) ** 2) / (2 * math.tanh(0.5)) * ((u >= 0) & (u <= 1))
    torch.testing.assert_close(surrogate.derivative(u - 0.5), expected, rtol=0, atol=1e-12)
    assert expected.sum().item() * 0.001 == pytest.approx(1, abs=1e-2)


def test_what_makes_no_sense_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"Unknown neuron 'tett'\. Did you mean 'tet'"):
        LIF.published("tett")
    with pytest.raises(ValueError, match=r"A soft reset subtracts the threshold, so reset_to=0\.3 would do nothing"):
        LIF(reset="soft", reset_to=0.3)
