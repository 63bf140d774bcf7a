"""Where gates stand: words for places, in every network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import saccade
from saccade.models import list_models
from saccade.models.network import Classifier, chosen_places
from saccade.models.registry import model_entry, recreate_model
from saccade.nn.attention import NoAttention

CLASSIFIERS = [name for name in list_models() if model_entry(name).cls.kind == "classifier"]
PLACES = ["stem", "a.0", "a.1", "b.0"]


def gates(model: Classifier) -> list[str]:
    """Where real gates stand."""
    return [name for name, gate in model.attention_modules().items() if not isinstance(gate, NoAttention)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("all", PLACES),
        ("first", ["stem"]),
        ("last", ["b.0"]),
        ("last:2", ["a.1", "b.0"]),
        ("first:9", PLACES),
        ("a.*", ["a.0", "a.1"]),
        ("b.0, stem", ["stem", "b.0"]),
        ("first,a.0,stem", ["stem", "a.0"]),
    ],
)
def test_words(at, expected):
    assert chosen_places(at, PLACES) == expected


@pytest.mark.parametrize("at", ["c.*", "stem,nowhere", "", "last:0"])
def test_a_place_that_is_not_there(at):
    with pytest.raises(ValueError, match=r"No neuron of the network is called .* Places: stem, a\.0, a\.1, b\.0"):
        chosen_places(at, PLACES)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_network_takes_gates_anywhere(name):
    options = {"steps": 2, "width": 0.05, "attention": "tcja"}
    with torch.device("meta"):
        everywhere = saccade.create_model(name, attention_at="all", **options)
        last = saccade.create_model(name, attention_at="last:2", **options)
        published = saccade.create_model(name, **options)
    places = list(everywhere.gate_places())
    assert sorted(gates(everywhere)) == sorted(places)
    assert set(gates(last)) == set(places[-2:])
    assert set(gates(published)) <= set(places)
    channels = everywhere.gate_places()
    assert all(gate.channels == channels[name] for name, gate in everywhere.attention_modules().items())


def test_it_trains_deploys_and_is_built_again_from_its_card():
    model = saccade.create_model(
        "msresnet18", steps=2, width=0.1, attention="dta", attention_at="stem_neuron,stages.1.*.neuron1", num_classes=3
    )
    x = torch.randn(2, 3, 8, 8)
    model(x).sum().backward()
    assert gates(model) == ["stem_neuron", *(f"stages.1.{i}.neuron1" for i in range(3))]
    again = recreate_model(model.created_with)
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        expected = model.eval()(x)
        assert torch.equal(again.eval()(x), expected)
        torch.testing.assert_close(saccade.deploy(model)(x), expected, rtol=0, atol=1e-5)


def test_the_other_layers_start_as_without_gates():
    models = []
    for attention in ("none", "dta"):
        torch.manual_seed(0)
        models.append(saccade.create_model("msresnet18", steps=2, width=0.1, attention=attention, attention_at="all"))
    plain, gated = (model.state_dict() for model in models)
    assert all(torch.equal(value, gated[key]) for key, value in plain.items())


def test_tcja_has_the_networks_published_widths_wherever_it_stands():
    model = saccade.create_model("vggsnn_tet", steps=2, width=0.1, attention="tcja", attention_at="first")
    assert model.neurons[0].attention.conv_time.weight.shape[-1] == 2
    model = saccade.create_model(
        "vggsnn_tet", steps=2, width=0.1, attention="tcja", attention_at="last", attention_options={"kernel_time": 3}
    )
    assert model.neurons[7].attention.conv_time.weight.shape[-1] == 3


def test_options_of_the_last_release_mean_what_they_meant():
    for former, now in (("stem", "stem_neuron"), ("blocks", "stages.*.neuron2"), ("auto", None)):
        built = recreate_model({"name": "msresnet18", "attention": "se", "width": 0.05, "attention_place": former})
        assert gates(built) == gates(saccade.create_model("msresnet18", attention="se", width=0.05, attention_at=now))


def test_gates_in_a_network_of_ones_own():
    net = saccade.Sequential(
        nn.Conv2d(2, 4, 3), saccade.LIF(), saccade.Residual(saccade.LIF(), nn.Conv2d(4, 4, 1)), nn.Flatten(),
        nn.Linear(4 * 36, 3), saccade.LIF(), steps=2, in_channels=2,
    )  # fmt: skip
    assert net.gate_places() == {"1": 4, "2.0": 4}
    net.put_gates("tcja", "all")
    assert gates(net) == ["1", "2.0"]
    assert net(torch.randn(2, 1, 2, 8, 8)).shape == (2, 1, 3)
