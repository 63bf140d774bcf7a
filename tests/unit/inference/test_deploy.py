"""`saccade.deploy`: the same network, in another form."""

from __future__ import annotations

import copy

import pytest
import torch
from deployed_networks import NETWORKS, network

import saccade
from saccade.engines import Residual
from saccade.engines.inference import assemble, integer
from saccade.models.blocks import ConvNorm
from saccade.models.network import Classifier
from saccade.nn.shape import SpaceMean
from saccade.ops.lif import cpu

PRECISIONS = ("float", "exact", "fast", "int8")
needs_integers = pytest.mark.skipif(integer.unavailable() is not None, reason=str(integer.unavailable()))


@pytest.mark.parametrize("placement", ["spikes", "current"])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_network_in_float64(name, placement):
    model, x = network(name, placement=placement)
    model, x = model.double(), x.double()
    with torch.no_grad():
        expected = model(x)
    assert expected.std() > 1e-3, "a network that does not fire proves nothing"
    torch.testing.assert_close(saccade.deploy(model)(x), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["msresnet18 dta, static", "dvsgesture_net tcja, odd size"])
def test_without_compiled_kernels_the_same(name, monkeypatch):
    model, x = network(name)
    with_kernels = saccade.deploy(model)(x)
    monkeypatch.setattr(cpu, "unavailable", lambda: "not installed")
    torch.testing.assert_close(saccade.deploy(model)(x), with_kernels, rtol=0, atol=0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_same_call_same_shape_and_the_network_is_left_as_it_was(precision):
    model, x = network("vggsnn_tet tcja")
    before = copy.deepcopy(model.state_dict())
    logits = saccade.deploy(model, precision)(x)
    with torch.no_grad():
        assert logits.shape == model(x).shape
    assert not logits.requires_grad
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_are_not_overwritten_and_calls_do_not_depend_on_each_other(precision):
    model, x = network("msresnet18 without stem neuron")
    deployed, kept = saccade.deploy(model, precision), x.clone()
    first = deployed(x)
    assert torch.equal(deployed(x), first)
    assert torch.equal(x, kept)


def test_takes_inputs_of_any_memory_layout():
    model, x = network("msresnet18 tcja, odd size")
    deployed = saccade.deploy(model, "exact")
    strange = x.permute(4, 1, 0, 3, 2).contiguous().permute(2, 1, 4, 3, 0)
    torch.testing.assert_close(deployed(strange), deployed(x))


@pytest.mark.parametrize(("neuron", "steps"), [("soft", 3), ("plif", 3), ("soft", 1), ("plif", 17)])
def test_other_neurons_and_lengths(neuron, steps):
    model, x = network("dvsgesture_net cbam", attention="none", steps=steps)
    other = saccade.LIF(0.7, 0.8, reset="soft") if neuron == "soft" else saccade.PLIF(3.0)
    model.neurons[1].neuron = model.classifier[2] = other
    model, x = model.double(), x.double()
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(model)(x), model(x), rtol=0, atol=1e-9)


@needs_integers
def test_says_what_it_did():
    model, _ = network("dvsgesture_net tcja, odd size")
    rows = {row.layer: row for row in saccade.deploy(model, "exact").summary()}
    assert rows["convs.0"].precision == "float32"
    assert rows["convs.1"].precision == rows["classifier.4"].precision == "three int8 slices"
    assert rows["convs.4"].reason == "its input is not binary"
    table = str(saccade.deploy(model, "exact").summary())
    assert table.splitlines()[0].split() == ["layer", "input", "precision", "reason"]


@needs_integers
@pytest.mark.parametrize("name", ["vggsnn_tet tcja", "dvsgesture_net tcja, odd size"])
def test_a_gate_on_the_current_leaves_every_layer_but_the_first_binary(name):
    def floats(placement):
        rows = saccade.deploy(network(name, placement=placement)[0], "int8").summary()
        return [row.layer for row in rows if row.precision == "float32" and "attention" not in row.layer]

    assert floats("current") == ["convs.0"]
    assert len(floats("spikes")) > 1


@needs_integers
@pytest.mark.parametrize("name", ["sew_resnet18, static", "spikformer", "qkformer, static"])
@pytest.mark.parametrize("largest", [255, 2, 1])
def test_sums_of_spikes_are_whole_numbers_as_far_as_a_byte_reaches(name, largest, monkeypatch):
    monkeypatch.setattr(assemble, "LARGEST_SUM", largest)
    model, x = network(name)
    deployed = saccade.deploy(model, "exact")
    with torch.no_grad():
        torch.testing.assert_close(deployed(x), model(x), rtol=0, atol=1e-4)
    fed = [row.input for row in deployed.summary() if row.precision == "float32" and "attend" not in row.layer]
    assert (len(fed) == 2) == (largest == 255), "the first layer, which sees the image, and the last, which sees means"
    assert any(row.input == "sums of spikes" for row in deployed.summary()) == (largest > 1)


@needs_integers
def test_sums_beyond_a_byte():
    always = saccade.LIF(threshold=-1.0)
    blocks = [Residual(torch.nn.Conv2d(3, 3, 1), always) for _ in range(300)]
    modules = torch.nn.Conv2d(3, 3, 1), always, *blocks, torch.nn.Conv2d(3, 3, 1), saccade.LIF(), SpaceMean()
    model = Own(**{f"m{i}": module for i, module in enumerate((*modules, torch.nn.Linear(3, 4)))}).eval()
    x = torch.randn(2, 2, 3, 2, 2)
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(model, "exact")(x), model(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["float", "exact"])
def test_a_residual_of_pooled_spikes(precision):
    pooled = Residual(ConvNorm(4, 4), saccade.LIF(), torch.nn.AvgPool2d(2), shortcut=torch.nn.AvgPool2d(2))
    modules = ConvNorm(3, 4), saccade.LIF(), pooled, ConvNorm(4, 4), saccade.LIF(), SpaceMean(), torch.nn.Linear(4, 4)
    model = Own(**{f"m{i}": module for i, module in enumerate(modules)}).eval()
    x = 3 * torch.randn(2, 2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(model, precision)(x), model(x), rtol=0, atol=1e-4)


def test_where_integers_do_not_work_says_so_and_stays_in_float(monkeypatch):
    model, x = network("vggsnn_tet tcja")
    expected = saccade.deploy(model)(x)
    monkeypatch.setattr(integer, "unavailable", lambda: "no such thing")
    deployed = saccade.deploy(model, "int8")
    assert torch.equal(deployed(x), expected)
    assert {row.reason for row in deployed.summary() if row.layer == "convs.1"} == {"no integers here: no such thing"}


def test_mistakes_are_answered_in_a_sentence():
    model, x = network("vggsnn_tet tcja")
    with pytest.raises(ValueError, match=r"Unknown precision 'float32'\. Did you mean 'float'"):
        saccade.deploy(model, "float32")
    with pytest.raises(ValueError, match=r"Call model\.eval\(\) first"):
        saccade.deploy(model.train())
    with pytest.raises(ValueError, match="FSVAE draws random spikes"):
        saccade.deploy(saccade.create_model("fsvae", steps=2).eval())
    with pytest.raises(ValueError, match=r"stands in for float32, but the network is torch\.float64"):
        saccade.deploy(model.eval().double(), "exact")
    with pytest.raises(ValueError, match=r"float32 or float64 on one device, but its parameters are torch\.float16"):
        saccade.deploy(model.half())
    deployed = saccade.deploy(model.float())
    with pytest.raises(ValueError, match="cannot be trained"):
        deployed.train()
    with pytest.raises(ValueError, match=r"built for input_size=\(24, 24\)"):
        deployed(x[..., :20])
    with pytest.raises(ValueError, match="built for steps=3 but the input has 2 steps"):
        deployed(x[:2])


class Own(Classifier):
    """Somebody's own network."""

    def __init__(self, **layers):
        super().__init__(steps=2, num_classes=4)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def links(self):
        return self.named_children()


def test_a_network_of_ones_own_deploys():
    layers = {"conv": ConvNorm(3, 5), "neuron": saccade.LIF(), "mean": SpaceMean(), "head": torch.nn.Linear(5, 4)}
    model, x = Own(**layers).eval().double(), 3 * torch.randn(2, 2, 3, 7, 7).double()
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(model)(x), model(x), rtol=0, atol=1e-9)


def test_what_its_links_do_not_say_is_refused():
    class Louder(Own):
        def forward(self, x):
            return 2 * super().forward(x)

    model = Louder(neuron=saccade.LIF(), mean=SpaceMean(), head=torch.nn.Linear(3, 4)).eval()
    with pytest.raises(ValueError, match="Louder has a forward of its own"):
        saccade.deploy(model)


def test_what_has_no_inference_form_runs_as_it_is():
    class Odd(saccade.LIF):
        def forward(self, x):
            return 1 - super().forward(x)

    class Reversed(torch.nn.Module):
        def forward(self, x):
            return x.flip(0)

    layers = [ConvNorm(3, 6), Odd(), torch.nn.Conv2d(6, 6, 3, groups=6), saccade.LIF(), Reversed(), SpaceMean()]
    model = Own(**{f"m{i}": layer for i, layer in enumerate((*layers, torch.nn.Linear(6, 4)))}).eval()
    for x in (3 * torch.randn(2, 2, 3, 9, 9), 3 * torch.randn(2, 3, 9, 9)):
        deployed = saccade.deploy(model, "exact")
        with torch.no_grad():
            torch.testing.assert_close(deployed(x), model(x), rtol=0, atol=1e-5)
    rows = {row.layer: row.reason for row in deployed.summary()}
    assert {name for name, why in rows.items() if "as it is" in why} == {"m1", "m2", "m4"}


def test_a_residual_on_the_input_leaves_it_as_it_was():
    class Block(Residual):
        def __init__(self):
            super().__init__()
            self.conv = ConvNorm(3, 3)

        def branches(self):
            return [("neuron", saccade.LIF()), ("conv", self.conv)], []

    model = Own(block=Block(), neuron=saccade.LIF(), mean=SpaceMean(), head=torch.nn.Linear(3, 4)).eval()
    x = 3 * torch.randn(2, 2, 3, 8, 8)
    kept = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(model)(x), model(x), rtol=0, atol=1e-5)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("precision", ["float", "exact"])
def test_poolings_in_unusual_places(precision):
    average, largest = torch.nn.AvgPool2d(2), torch.nn.MaxPool2d(2)
    modules = ConvNorm(3, 5), largest, saccade.LIF(), average, largest, SpaceMean(), torch.nn.Linear(5, 4)

    class Pools(Own):
        def links(self):
            return [(f"m{i}", module) for i, module in enumerate(modules)]

    model, x = Pools(**{f"m{i}": module for i, module in enumerate(modules)}).eval(), 3 * torch.randn(2, 2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(model, precision)(x), model(x), rtol=0, atol=1e-5)
