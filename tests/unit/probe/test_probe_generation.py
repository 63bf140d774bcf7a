"""Firing rates and energy of the fully spiking VAE, part by part."""

from __future__ import annotations

import pytest
import torch

import saccade
from saccade.probe.costs import FLOAT32
from saccade.probe.generation import PARTS, as_json, measure_generation
from saccade.train.firing import FiringMeter

T, B, D, K = 5, 4, 6, 3


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = saccade.create_model("fsvae", steps=T, latent=D, k=K, width=0.25, image_size=16, attention="tcja")
    for _ in range(40):
        model(torch.rand(8, 1, 16, 16) * 2 - 1)
    return model


@pytest.fixture(scope="module")
def images():
    return torch.rand(B, 1, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def parts(model, images):
    torch.manual_seed(2)
    return measure_generation(model, images)


def test_the_first_convolution_is_computed_once(parts):
    """3x3, stride 2, padding 1, 1 -> 8 channels on 16x16: 8x8 outputs, of which 15 (first row and column) lack taps."""
    taps = (3 * 8 - 1) ** 2  # along each axis the first output has two taps
    neurons = T * B * (8 * 64 + 16 * 16 + 32 * 4 + D)  # one MAC each for the decay
    assert parts["encoder"].operations.macs == B * 8 * taps + neurons


def test_posterior_and_prior_only_add(model, parts):
    """They read spikes: apart from the neurons, every operation is an addition for an input spike and a weight."""
    widths = {"posterior": (2 * D, 2 * D, 4 * D, K * D), "prior": (D, 2 * D, 4 * D, K * D)}
    for part, (first, *rest) in widths.items():
        operations = parts[part].operations
        assert operations.macs == T * B * sum(rest)
        assert operations.connections == T * B * sum(a * b for a, b in zip((first, *rest), rest, strict=False))
        assert 0 < operations.acs < operations.connections


def test_additions_of_the_prior_by_hand(model, images):
    torch.manual_seed(2)
    spikes = []
    handles = [layer.register_forward_pre_hook(lambda _, args: spikes.append(args[0])) for layer in model.prior.layers]
    parts = measure_generation(model, images)
    for handle in handles:
        handle.remove()
    outputs = [layer.linear.out_features for layer in model.prior.layers]
    acs = sum(int(x.sum()) * n for x, n in zip(spikes[:3], outputs, strict=True))
    assert parts["prior"].operations.acs == acs


def test_energy_is_the_sum_of_its_parts(parts):
    report = as_json(parts)
    assert tuple(report["energy_mj_per_image"]) == PARTS
    o = parts["prior"].operations
    by_hand = (FLOAT32.mac_pj * o.macs + FLOAT32.ac_pj * o.acs) / B * 1e-9
    assert report["energy_mj_per_image"]["prior"] == pytest.approx(by_hand)
    energy = report["energy_mj_per_image"]
    assert report["energy_mj_to"]["sample"] == pytest.approx(energy["prior"] + energy["decoder"])
    assert report["energy_mj_to"]["reconstruct"] == pytest.approx(
        energy["encoder"] + energy["posterior"] + energy["decoder"]
    )
    assert report["not_counted"] == {}
    assert all(0 < rate < 1 for rate in report["firing_rate"].values())


def test_a_parts_rate_is_that_of_a_training_run_the_share_of_its_neurons(model, images, parts):
    model.eval()
    with FiringMeter(model) as meter, torch.no_grad():
        model.encode(images)
    assert meter.mean_rate("encoder") == pytest.approx(parts["encoder"].firing_rate, rel=1e-6)
    rates = [rate for name, rate in meter.rates().items() if name.startswith("encoder.")]
    assert meter.mean_rate("encoder") != pytest.approx(sum(rates) / len(rates), rel=1e-2)  # layers differ in size
    assert meter.mean_rate("prior") == 0
    assert meter.mean_rate() == meter.mean_rate("encoder")


def test_the_model_is_left_as_it_was(model, images):
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    measure_generation(model, images)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
