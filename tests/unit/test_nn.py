"""Neurons, folding, normalisation and readouts against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import saccade
from saccade.nn import ThresholdBatchNorm, TimeFolded, VotingReadout, mean_readout, membrane_readout
from saccade.ops import Surrogate

NEURONS = {
    "lif": lambda: saccade.LIF(),
    "soft": lambda: saccade.LIF(0.25, 1.0, 0.2, reset="soft", surrogate="sigmoid"),
    "tau": lambda: saccade.LIF.from_tau(2.0),
    "plif": lambda: saccade.PLIF(tau=3.0),
    "if": lambda: saccade.IF(),
}


def currents(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2


@pytest.mark.parametrize("name", NEURONS)
def test_streaming_equals_the_sequence(name):
    neuron = NEURONS[name]().double()
    x = currents(7, 3, 4).requires_grad_()
    whole = neuron(x)
    state, steps = None, []
    for x_t in x:
        s, state = neuron.step(x_t, state)
        steps.append(s)
    streamed = torch.stack(steps)
    assert torch.equal(whole, streamed)
    assert 0 < whole.mean() < 1
    cotangent = torch.randn_like(whole)
    (expected,) = torch.autograd.grad(streamed, x, cotangent)
    (grad,) = torch.autograd.grad(whole, x, cotangent)
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)


def test_lif_by_hand():
    """decay 0.5, gain 1, threshold 1: u = 0.8, 1.2 (fires), 0.9 after the reset, 1.25 (fires)."""
    x = torch.tensor([0.8, 0.8, 0.9, 0.8])[:, None]
    assert saccade.LIF(backend="reference")(x).flatten().tolist() == [0, 1, 0, 1]
    assert saccade.LIF(reset="soft", backend="reference")(x).flatten().tolist() == [0, 1, 0, 1]
    at_threshold = torch.tensor([[1.0], [0.5]])
    assert saccade.LIF(backend="reference")(at_threshold).flatten().tolist() == [0, 0]  # strict


def test_plif_learns_its_time_constant():
    neuron = saccade.PLIF(tau=4.0).double()
    decay, gain = neuron._decay_and_gain()
    assert gain.item() == pytest.approx(1 / 4)
    assert decay.item() == pytest.approx(3 / 4)
    neuron(currents(5, 3)).sum().backward()
    assert neuron.w.grad is not None
    assert neuron.w.grad.item() != 0


def test_neurons_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="decay is the share of the potential that survives a step, 0 to 1, not 2"):
        saccade.LIF(decay=2)
    with pytest.raises(ValueError, match="above 1 step, but tau=1"):
        saccade.PLIF(tau=1)
    with pytest.raises(ValueError, match=r"Unknown surrogate 'triangel'. Did you mean 'triangle'"):
        saccade.LIF(surrogate="triangel")
    with pytest.raises(ValueError, match="scale must be positive"):
        Surrogate("atan", 0)
    with pytest.raises(ValueError, match="reset must be 'hard' or 'soft', not 'none'"):
        saccade.LIF(reset="none")
    with pytest.raises(ValueError, match=r"Unknown LIF backend 'refrence'. Did you mean 'reference'"):
        saccade.LIF(backend="refrence")
    with pytest.raises(ValueError, match=r"floating-point currents \[T, B, ...\] with time first"):
        saccade.LIF()(torch.zeros(3, 4, dtype=torch.int64))


def test_time_folded_shares_batch_statistics_over_time():
    x = currents(3, 4, 2, 5, 5).float()
    norm = nn.BatchNorm2d(2)
    y = TimeFolded(norm)(x)
    torch.testing.assert_close(y.mean(dim=(0, 1, 3, 4)), torch.zeros(2), atol=1e-6, rtol=0)
    assert y.shape == x.shape


@pytest.mark.parametrize("shape", [(12, 3), (12, 3, 4, 4)])
def test_threshold_batch_norm(shape):
    x = currents(*shape)
    norm = ThresholdBatchNorm(3, alpha=2.0, threshold=0.2).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    y = norm(x)
    dims = [d for d in range(x.ndim) if d != 1]
    per_channel = [1, 3] + [1] * (x.ndim - 2)
    mean, var = x.mean(dims).view(per_channel), x.var(dims, unbiased=False).view(per_channel)
    normalised = 0.4 * (x - mean) / (var + norm.eps).sqrt()
    expected = norm.weight.view(per_channel) * normalised + norm.bias.view(per_channel)
    torch.testing.assert_close(y, expected)
    assert int(norm.num_batches_tracked) == 1
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean(dims))


def test_readouts():
    x = currents(4, 2, 3)
    assert torch.equal(mean_readout(x), x.mean(0))
    expected = sum(0.8 ** (3 - t) * x[t] for t in range(4))
    torch.testing.assert_close(membrane_readout(x), expected)
    torch.testing.assert_close(VotingReadout(3)(x)[..., 0], x.mean(-1))
    with pytest.raises(ValueError, match="groups 2 neurons per class, but the input has 3 features"):
        VotingReadout(2)(x)
