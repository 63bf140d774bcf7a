"""Neurons that start elsewhere or weigh their memory, and layers that refuse what they were not built for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import saccade
from saccade.nn import LIF, SCTFALIF, SMA, TIM, InitialLIF, Neuron
from saccade.probe.firing import measure_firing


def steps_of(neuron: Neuron, x: torch.Tensor) -> torch.Tensor:
    state, spikes = None, []
    for x_t in x:
        spikes_t, state = neuron.step(x_t, state)
        spikes.append(spikes_t)
    return torch.stack(spikes)


def test_a_learned_start_is_a_potential_before_the_first_step() -> None:
    torch.manual_seed(0)
    neuron = InitialLIF((3, 4, 5), gain=0.5).double()
    assert neuron.start.abs().max() <= 0.2
    x = (torch.randn(6, 2, 3, 4, 5, dtype=torch.float64) + 2).requires_grad_()
    spikes, stepped = neuron(x), steps_of(neuron, x)
    assert torch.equal(spikes, stepped)
    assert not torch.equal(spikes, LIF(decay=0.25, gain=0.5)(x))
    grad = torch.randn_like(x)
    ours, theirs = (torch.autograd.grad(s, (x, neuron.start), grad) for s in (spikes, stepped))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        neuron.start.fill_(8.1)  # 0.25 * 8.1 alone is above the threshold
    assert neuron(torch.zeros(1, 2, 3, 4, 5, dtype=torch.float64)).all()
    with pytest.raises(ValueError, match=r"built for \[3, 4, 5\] but a step of the input is \[3, 4, 4\]"):
        neuron(x[..., :4])


def test_sctfa_weighs_the_memory_of_what_did_not_fire() -> None:
    neuron = SCTFALIF(4).double()
    with torch.no_grad():
        for parameter in neuron.gate.parameters():
            parameter.zero_()  # the gate is 1/4 everywhere
    current = torch.full((1, 4, 2, 2), 0.5, dtype=torch.float64)
    spikes, state = neuron.step(current)
    assert not spikes.any()
    assert state.unique().tolist() == [0.125]
    assert torch.equal(neuron.step(current * 1.48, state)[0], torch.ones_like(current))  # 0.0625 + 0.74 > 0.8
    assert torch.equal(neuron.step(current * 1.47, state)[0], torch.zeros_like(current))


def test_a_network_of_ones_own_takes_them() -> None:
    torch.manual_seed(0)
    net = saccade.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), SMA(4, 3), nn.BatchNorm2d(4), SCTFALIF(4), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1), InitialLIF((4, 4, 4)), nn.Flatten(), nn.Linear(64, 5),
        steps=3, in_channels=2,
    )  # fmt: skip
    logits = net(torch.randn(3, 2, 2, 8, 8))
    assert logits.shape == (3, 2, 5)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_layers_say_what_they_take() -> None:
    with pytest.raises(ValueError, match=r"steps=3 and channels=4, but got \[2, 2, 4, 8, 8\]"):
        SMA(4, 3)(torch.zeros(2, 2, 4, 8, 8))
    with pytest.raises(ValueError, match=r"odd widths, so that maps keep their size, not \(2,\)"):
        SMA(4, 3, kernels=(2,))
    with pytest.raises(ValueError, match=r"tokens=8, but got \[3, 2, 2, 4, 6\]"):
        TIM(8)(torch.zeros(3, 2, 2, 4, 6))


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2)])
def test_a_temporal_filter_survives_every_engine(pool: nn.Module) -> None:
    """What STSC multiplies with its gate is not the spikes but the filtered ones: no engine may take the product."""
    x, found = torch.randn(4, 2, 2, 8, 8, dtype=torch.float64) * 2, []
    for backend in ("auto", "reference"):
        torch.manual_seed(0)
        gate = saccade.create_attention("stsc", 4, 4, filter_time=3)
        layers = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), LIF(backend=backend), gate, pool
        net = saccade.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3), steps=4, in_channels=2).double()
        y = net(x)
        y.square().sum().backward()
        found.append([y, *(p.grad for p in net.parameters())])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)
    net.eval()
    torch.testing.assert_close(saccade.deploy(net, "float")(x), net(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gate", ["none", "se", "dta"])
@pytest.mark.parametrize("neuron", [lambda: SCTFALIF(4, threshold=0.1), lambda: InitialLIF((4, 6, 6), threshold=0.1)])
def test_a_network_takes_any_neuron(neuron, gate):
    """Gates, streams, deployed networks and firing rates know it as a neuron, not as a module that they cannot read."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        neuron(),
        saccade.create_attention(gate, 4, 5),
        nn.Flatten(),
    )
    net = saccade.Sequential(*layers, nn.Linear(4 * 36, 3), steps=5, in_channels=2)
    x = torch.randn(5, 2, 2, 6, 6)
    net(x).sum().backward()
    net.eval()
    assert net.gate_places() == {"2": 4}
    for network in (net, saccade.deploy(net)):
        torch.testing.assert_close(network(x), net(x))
        fed = saccade.stream(network, window=gate == "dta")
        for x_t in x:
            so_far = fed(x_t)
        torch.testing.assert_close(so_far, net(x).mean(0))
    (layer,) = measure_firing(net, [x])
    assert 0.05 < layer.rate < 0.95
