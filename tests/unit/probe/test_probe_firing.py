"""Firing rates, dead and saturated neurons, rasters."""

import pytest
import torch
from torch import nn

from saccade.probe import measure_firing, predict, record_spikes


@pytest.fixture
def known(small):
    """Four neurons: one never fires, one always, one at step 0 only, one at both steps of the first sample alone."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    model = small(conv, 4, num_classes=2, steps=2, in_channels=1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
    x = torch.zeros(2, 2, 1, 2, 2, dtype=torch.float64)
    x[:, :, 0, 0, 1] = 2
    x[0, :, 0, 1, 0] = 2
    x[:, 0, 0, 1, 1] = 2
    return model, x


def test_counts_by_hand(known):
    model, x = known
    (layer,) = measure_firing(model, [x])
    found = layer.summary()
    assert (found["layer"], found["neurons"], found["samples"]) == ("fire.neuron", 4, 2)
    assert layer.rates().flatten().tolist() == [0.0, 1.0, 0.5, 0.5]
    assert found["rate"] == 0.5
    assert found["rate_per_step"] == [5 / 8, 3 / 8]
    assert (found["dead"], found["saturated"]) == (1, 1)
    histogram = found["rate_histogram"]
    assert len(histogram["edges"]) == 21
    assert [i for i, n in enumerate(histogram["neurons"]) if n] == [0, 10, 19]
    assert sum(histogram["neurons"]) == 4


def test_batches_add_up(known):
    model, x = known
    (whole,) = measure_firing(model, [x])
    (parts,) = measure_firing(model, [x[:, :1], x[:, 1:]])
    assert whole.summary() == parts.summary()


def test_rates_do_not_depend_on_the_gate_in_front_of_the_next_layer(lively):
    model, x = lively(attention="tcja")
    for layer in measure_firing(model, [x]):
        assert 0 <= layer.rate <= 1
    assert len(measure_firing(model, [x])) == 18


def test_raster_of_the_first_sample(known):
    model, x = known
    raster = record_spikes(model, x)["fire.neuron"]
    assert raster.tolist() == [[False, True, True, True], [False, True, False, True]]
    assert record_spikes(model, x, most=2)["fire.neuron"].shape == (2, 2)


def test_leaves_the_model_as_it_was(lively, untouched):
    model, x = lively(attention="dta")
    untouched(model, lambda: (measure_firing(model, [x]), record_spikes(model, x)))


def test_answering_leaves_the_model_as_it_was(lively, untouched):
    model, x = lively(attention="dta")
    untouched(model, lambda: predict(model, [(x, torch.zeros(4).long())]))


def test_predictions_by_hand(small):
    """The logits are the spikes of two pixels; class 0 wins at step 0, class 1 over both steps."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    model = small(conv, 2, num_classes=2, steps=2, in_channels=1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        model.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
        model.head.bias.zero_()
    x = torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]]], dtype=torch.float64)[:, None, None].expand(-1, 3, -1, -1, -1)
    found = predict(model, [(x, torch.tensor([0, 1, 1]))]).summary()
    assert found["confusion"] == [[0, 1], [0, 2]]
    assert found["accuracy_by_steps"] == pytest.approx([1 / 3, 2 / 3])
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["samples"] == 3
    assert found["seconds"] > 0


def test_no_samples(lively):
    model, _ = lively()
    with pytest.raises(ValueError, match="no samples"):
        predict(model, [])


@pytest.mark.parametrize("name", ["msresnet18", "vggsnn", "fashion_net"])
def test_the_networks_of_these_tests_are_alive(lively, name):
    model, x = lively(name, attention="tcja")
    assert all(layer.rate > 0.001 for layer in measure_firing(model, [x]))
