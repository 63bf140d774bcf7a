"""Gates as they are, how far they are from doing nothing, and what the network loses without them."""

import math

import pytest
import torch

import saccade
from saccade.probe import Gate, gate_effect, read_gates


def gate(values: torch.Tensor, shape: tuple[int, ...]) -> Gate:
    return Gate("layer", "TCJA", "spikes", values, shape)


def test_the_gates_are_those_that_multiply(lively):
    model, x = lively(attention="dta")
    seen = {}

    def keep(module, inputs, output):
        seen["spikes"], seen["gated"] = inputs[0], output

    handle = model.stem_neuron.attention.register_forward_hook(keep)
    model(x)
    handle.remove()
    (found,) = read_gates(model, x)
    assert (found.layer, found.kind, found.shape) == ("stem_neuron.attention", "DTA", (3, 4, 8, 16, 16))
    torch.testing.assert_close(found.values * seen["spikes"], seen["gated"])
    torch.testing.assert_close(found.matrix(), found.values.mean(dim=(1, 3, 4)))
    torch.testing.assert_close(found.matrix(2), found.values[:, 2].mean(dim=(2, 3)))
    torch.testing.assert_close(found.space(1), found.values[:, 1].mean(1))


def test_one_gate_for_each_place(lively):
    model, x = lively("fashion_net", attention="tcja")
    found = read_gates(model, x)
    assert [g.layer for g in found] == ["neurons.0.attention", "neurons.1.attention"]
    assert found[0].matrix().shape == (3, 16)
    assert found[0].space() is None


@pytest.mark.parametrize("attention", [name for name in saccade.list_attention() if name != "none"])
def test_every_registered_gate_has_matrix_and_summary(lively, attention):
    model, x = lively(attention=attention)
    for found in read_gates(model, x):
        T, _, C, _, _ = found.shape
        assert found.matrix().shape == found.matrix(0).shape == (T, C)
        assert found.summary()["deviation"] >= 0


def test_a_constant_gate_does_nothing():
    constant = gate(torch.full((2, 3, 4, 1, 1), 0.7), (2, 3, 4, 5, 5))
    assert constant.deviation() == pytest.approx(0, abs=1e-6)
    assert constant.deviation_by() == pytest.approx({"time": 0, "sample": 0, "channel": 0, "space": 0}, abs=1e-6)


@pytest.mark.parametrize(("half", "expected"), [(0.5, 1 / 3), (0.0, 1.0)])
def test_deviation_by_hand(half, expected):
    """Half of the channels pass whole, the others by `half`."""
    values = torch.tensor([1.0, half]).view(1, 1, 2, 1, 1)
    found = gate(values, (2, 3, 2, 1, 1))
    assert found.deviation() == pytest.approx(expected)
    assert found.deviation_by() == pytest.approx({"time": 0, "sample": 0, "channel": expected, "space": 0})
    assert found.matrix().tolist() == [[1.0, half], [1.0, half]]


def test_a_gate_of_mean_zero_is_infinitely_far():
    assert gate(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1, 1), (2, 1, 1, 1, 1)).deviation() == math.inf
    assert gate(torch.zeros(2, 1, 1, 1, 1), (2, 1, 1, 1, 1)).deviation() == 0


def test_without_weights_tcja_does_nothing_and_the_network_loses_nothing(lively):
    model, x = lively("fashion_net", attention="tcja")
    assert gate_effect(model, x)["logits_changed"] > 0
    with torch.no_grad():
        for attention in model.attention_modules().values():
            for weight in attention.parameters():
                weight.zero_()
    assert all(found.deviation() == 0 for found in read_gates(model, x))
    assert gate_effect(model, x) == {"logits_changed": 0.0, "predictions_changed": 0.0}


def test_the_effect_by_hand(lively):
    """Replacing the gate by its mean, written out with a second network that has a constant gate."""
    model, x = lively(attention="txa")
    (found,) = read_gates(model, x)
    mean = float(found.values.mean())
    plain = saccade.create_model(**{**model.created_with, "attention": "none"}).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "attention" not in k})
    plain.stem_neuron.neuron.register_forward_hook(lambda module, inputs, spikes: mean * spikes)
    with torch.no_grad():
        logits, without = model(x).mean(0), plain(x).mean(0)
    effect = gate_effect(model, x)
    assert effect["logits_changed"] == pytest.approx(float((without - logits).norm() / logits.norm()), rel=1e-4)
    assert effect["predictions_changed"] == float((without.argmax(1) != logits.argmax(1)).float().mean())


def test_a_gate_on_the_current(lively):
    model, x = lively(attention="txa", placement="current")
    (found,) = read_gates(model, x)
    assert found.placement == "current"
    assert gate_effect(model, x)["logits_changed"] > 0


def test_no_attention(lively):
    model, x = lively(attention="none")
    assert read_gates(model, x) == []
    assert gate_effect(model, x) is None


def test_leaves_the_model_as_it_was(lively, untouched):
    model, x = lively(attention="dta")
    untouched(model, lambda: (read_gates(model, x), gate_effect(model, x)))
