"""The attention modules drop into a SpikingJelly network: five lines, checked with SpikingJelly itself."""

from __future__ import annotations

import warnings

import pytest
import torch

import saccade


@pytest.fixture(scope="module")
def spikingjelly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            "spikingjelly.activation_based", reason="needs SpikingJelly: pip install saccade[events]"
        )


@pytest.mark.parametrize("name", ["tcja", "tla", "cla", "tcsa", "eca"])
def test_gate_in_a_spikingjelly_network(spikingjelly, name):
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    net = torch.nn.Sequential(
        layer.Conv2d(2, 8, 3, padding=1),
        neuron.LIFNode(surrogate_function=surrogate.ATan()),
        saccade.create_attention(name, channels=8, steps=10),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(8 * 4 * 4, 5),
    )
    functional.set_step_mode(net, "m")
    x = torch.rand(10, 3, 2, 8, 8, requires_grad=True) * 3
    y = net(x)
    assert y.shape == (10, 3, 5)
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    functional.reset_net(net)


def test_our_neuron_equals_spikingjellys(spikingjelly):
    from spikingjelly.activation_based import neuron, surrogate

    x = (torch.randn(12, 2, 3, 4, 4, dtype=torch.float64) * 2).requires_grad_()
    theirs = neuron.LIFNode(
        tau=2.0, decay_input=True, detach_reset=True, surrogate_function=surrogate.ATan(), step_mode="m"
    )
    y = theirs(x)
    cotangent = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, x, cotangent)
    ours = saccade.LIF.from_tau(2.0, backend="reference")(x)
    (grad,) = torch.autograd.grad(ours, x, cotangent)
    assert torch.equal(ours, y)
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)
