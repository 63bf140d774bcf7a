"""Operations against hand counts, brute force and SpikingJelly; energies against their formula."""

import itertools
import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import saccade
from saccade.probe import cost_table, count_operations, measure_energy, relu_twin
from saccade.probe.costs import FLOAT32
from saccade.probe.rules import taps, taps_transposed


def by_layer(count):
    return {(layer.kind, layer.layer): layer.operations for layer in count.layers}


def test_a_convolution_with_stride_and_padding_by_hand(small):
    """conv 2 -> 3, 3x3, stride 2, padding 1, on 5x5, two steps of spikes; then 27 neurons and a linear layer 27 -> 2.

    Along an axis, outputs 0, 1, 2 read places (-1, 0, 1), (1, 2, 3), (3, 4, 5): places 0 to 4 are read 1, 2, 1, 2, 1
    times, 7 in all.
    """
    model = small(nn.Conv2d(2, 3, 3, stride=2, padding=1), 27, num_classes=2, steps=2, in_channels=2)
    with torch.no_grad():
        model.conv[0].weight.fill_(1.0)
        model.conv[0].bias.fill_(0.5)  # one spike in the window makes a current of 1.5: the neuron fires
        model.head.bias.zero_()
    x = torch.zeros(2, 1, 2, 5, 5, dtype=torch.float64)
    x[0, 0, 0, 0, 0] = 1  # read by 1 output place, times 3 channels: 3
    x[0, 0, 1, 1, 1] = 1  # 2 x 2 places, times 3: 12
    x[1, 0, 1, 3, 2] = 1  # 2 x 1 places, times 3: 6
    found = by_layer(count_operations(model, x))

    conv = found["synapse", "conv.0"]
    assert (conv.acs, conv.synops, conv.macs) == (21, 21, 0)
    assert conv.connections == 7 * 7 * 2 * 3 * 2
    assert (conv.active, conv.inputs) == (3, 100)
    neuron = found["neuron", "fire.neuron"]
    assert (neuron.macs, neuron.muls, neuron.adds) == (27 * 2, 0, 0)
    # Step 0: the first spike is seen by place (0, 0) alone, the second by (0, 0), (0, 1), (1, 0), (1, 1): 4 places.
    # Step 1: places (1, 1) and (2, 1) see a spike. At the other places u = 0.5, at step 1 u = 0.5 * 0.5 + 0.5 = 0.75:
    # no spike. (1, 1) fired at step 0, was reset and fires again: 4 + 2 places x 3 channels fire.
    head = found["synapse", "head"]
    assert head.active == (4 + 2) * 3
    assert (head.acs, head.macs, head.connections) == ((4 + 2) * 3 * 2, 0, 27 * 2 * 2)
    assert set(found) == {("synapse", "conv.0"), ("neuron", "fire.neuron"), ("synapse", "head")}

    real = by_layer(count_operations(model, 0.5 * x))["synapse", "conv.0"]
    assert (real.macs, real.acs, real.synops) == (7 * 7 * 2 * 3 * 2, 0, 21)


def test_a_network_with_tcja_by_hand(small):
    """T = 3, B = 1: conv 1x1 1 -> 2 on 2x2; 8 neurons; TCJA(kernel_time 2, kernel_channel 2); linear 8 -> 2."""
    options = {"kernel_time": 2, "kernel_channel": 2}
    model = small(
        nn.Conv2d(1, 2, 1, bias=False),
        8,
        num_classes=2,
        steps=3,
        in_channels=1,
        attention="tcja",
        attention_options=options,
    )
    with torch.no_grad():
        model.conv[0].weight.fill_(2.0)
    x = torch.zeros(3, 1, 1, 2, 2, dtype=torch.float64)
    x[:, :, :, 0, 0] = 1  # one pixel of four fires at every step, in both channels
    found = by_layer(count_operations(model, x))

    assert found["synapse", "conv.0"].acs == 3 * 1 * 2
    assert found["neuron", "fire.neuron"].macs == 3 * 8
    attention = found["attention", "fire.attention"]
    # squeeze: 3 x 2 means of 4; sigmoid(L * M) on 3 x 2; the gate times 3 x 8 spikes
    assert attention.adds == 3 * 2 * (4 - 1)
    assert attention.muls == 3 * 2 + 3 * 2 + 3 * 8
    assert attention.functions == 3 * 2
    # z is 1/4 everywhere: real. Along time, outputs 0, 1, 2 read (0, 1), (1, 2), (2, padding): 5 products of 2 x 2.
    time = found["attention", "fire.attention.conv_time"]
    assert (time.macs, time.acs) == (5 * 2 * 2, 0)
    # Along channels, outputs 0, 1 read (0, 1), (1, padding): 3 products of 3 x 3.
    channel = found["attention", "fire.attention.conv_channel"]
    assert (channel.macs, channel.acs) == (3 * 3 * 3, 0)
    # What the gate lets through is real: the linear layer multiplies, zeros included.
    head = found["synapse", "head"]
    assert (head.macs, head.acs, head.synops) == (3 * 8 * 2, 0, 3 * 2 * 2)
    assert len(found) == 6

    report = measure_energy(model, x)
    macs, acs, muls, adds = 24 + 20 + 27 + 48, 6, 36, 18
    assert report.energy_mj() == pytest.approx((4.6 * macs + 0.9 * acs + 3.7 * muls + 0.9 * adds) * 1e-9, rel=1e-12)
    assert report.zero_skipping_energy_mj() == pytest.approx(report.energy_mj() - 4.6 * 36 * 1e-9, rel=1e-12)
    # rate x FLOPs: 3 x 8 products of the first layer; of the linear layer's 3 x 16 the share of inputs that fired, 1/4
    assert report.papers_energy_mj() == pytest.approx((4.6 * 3 * 8 + 0.9 * 3 * 16 / 4) * 1e-9, rel=1e-12)
    assert report.papers_relu_energy_mj() == report.relu_energy_mj()
    # ReLU at T=1: the convolution's 4 places x 2 channels and the linear layer's 8 x 2
    assert report.relu_energy_mj() == pytest.approx(4.6 * (8 + 16) * 1e-9, rel=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 0, 1), (3, 1, 2, 2), (5, 2, 0, 1)]
)
def test_taps_against_brute_force_and_a_convolution_of_ones(kernel, stride, padding, dilation):
    size = 9
    ones = torch.ones(1, 1, kernel)
    outputs = F.conv1d(torch.ones(1, 1, size), ones, None, stride, padding, dilation).shape[-1]
    reads = [o * stride - padding + k * dilation for o, k in itertools.product(range(outputs), range(kernel))]
    found = taps(size, outputs, kernel, stride, padding, dilation)
    assert found.tolist() == [reads.count(i) for i in range(size)]
    x = torch.zeros(1, 1, size, requires_grad=True)
    F.conv1d(x, ones, None, stride, padding, dilation).sum().backward()
    assert found.tolist() == x.grad.flatten().tolist()

    x = torch.zeros(1, 1, size, requires_grad=True)
    y = F.conv_transpose1d(x, ones, None, stride, padding, 0, 1, dilation)
    y.sum().backward()
    back = taps_transposed(size, y.shape[-1], kernel, stride, padding, dilation)
    assert back.tolist() == x.grad.flatten().tolist()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2),
        nn.Conv2d(4, 4, 5, padding=2, groups=4, bias=False),
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        nn.Conv2d(4, 2, (1, 3), stride=(1, 2), padding=(0, 1)),
    ],
    ids=str,
)
def test_spikes_count_as_in_spikingjelly(layer):
    counters = pytest.importorskip("spikingjelly.activation_based.op_counter")
    x = (torch.rand(3, 4, 9, 8) > 0.7).float()
    oracle = counters.SynOpCounter()
    with counters.DispatchCounterMode([oracle]), torch.no_grad():
        layer(x)
    found = count_operations(layer, x).layers[0].operations
    assert found.acs == oracle.get_total() > 0
    assert found.macs == 0


@pytest.mark.parametrize("layer", [nn.Conv2d(4, 6, 3, stride=2), nn.Conv2d(4, 4, 2, groups=4), nn.Linear(5, 7)])
def test_real_values_count_as_in_spikingjelly(layer):
    """Without padding, whose zeros SpikingJelly's MACs include and ours do not."""
    counters = pytest.importorskip("spikingjelly.activation_based.op_counter")
    x = torch.rand(3, 4, 9, 5)
    oracle = counters.MACCounter()
    with counters.DispatchCounterMode([oracle]), torch.no_grad():
        layer(x)
    found = count_operations(layer, x).layers[0].operations
    assert found.macs == oracle.get_total() > 0
    assert found.acs == 0


@pytest.mark.parametrize("attention", [name for name in saccade.list_attention() if name != "none"])
def test_every_gate_is_counted_and_nothing_is_left_out(lively, attention):
    model, x = lively(attention=attention, batch=2)
    report = measure_energy(model, x)
    assert report.network.not_counted == {}
    assert report.relu.not_counted == {}
    sums = report.sums()
    assert report.energy_pj(sums["attention"]) > 0
    # at the least, the gate multiplies every spike
    shapes = [a.channels for a in model.attention_modules().values()]
    assert sums["attention"].muls >= 3 * 2 * min(shapes)
    assert report.sums(report.relu)["attention"].muls == 0


def test_the_kinds_add_up_to_the_total(lively):
    model, x = lively(attention="dta")
    report = measure_energy(model, x)
    parts = [report.energy_mj(kind) for kind in ("synapse", "attention", "neuron", "other")]
    assert sum(parts) == pytest.approx(report.energy_mj())
    assert report.zero_skipping_energy_mj() < report.energy_mj()
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert sum(row["energy_mj"] for row in content["layers"]) == pytest.approx(content["energy_mj"])
    assert "4.6 pJ x MACs + 0.9 pJ x ACs" in content["formula"]
    assert "Horowitz" in content["table"]["source"]


def test_the_relu_network_is_counted_without_spikes(lively):
    model, x = lively(attention="none", steps=2, batch=2)
    report = measure_energy(model, (x > 0).float())
    spiking, relu = report.sums(), report.sums(report.relu)
    assert relu["total"].acs == 0
    assert relu["neuron"].macs == 0
    # T = 2 steps of the same convolutions and linear layers
    assert spiking["synapse"].connections == 2 * relu["synapse"].connections
    assert relu["synapse"].macs == relu["synapse"].connections


def test_the_relu_network_has_no_neurons_and_no_gates(lively):
    model, x = lively(attention="tcja")
    twin = relu_twin(model)
    assert twin(x[0]).shape == (1, 4, 10)
    assert not any(isinstance(module, saccade.LIF) for module in twin.modules())
    assert any(isinstance(module, saccade.LIF) for module in model.modules())


def test_batches_add_up(lively):
    model, x = lively(attention="tcja")
    whole, parts = measure_energy(model, x), measure_energy(model, [x[:, :1], x[:, 1:]])
    assert whole.as_json() == parts.as_json()


def test_unknown_arithmetic_is_named(small):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.erf(x)

    assert count_operations(Odd(), torch.rand(2, 3)).not_counted == {"erf": 6}


def test_leaves_the_model_as_it_was(lively, untouched):
    model, x = lively(attention="dta")
    untouched(model, lambda: measure_energy(model, x))


def test_generative_networks_are_counted_too():
    model = saccade.create_model("fsvae", steps=2, width=0.125, attention="tcja").eval()
    count = count_operations(model, torch.rand(2, 1, 32, 32) * 2 - 1)
    assert count.not_counted == {}
    assert any(layer.kind == "attention" for layer in count.layers)


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"mac_pj": 2.0, "ac_pj": 0.5, "source": "our chip"}')
    table = cost_table(str(path))
    assert (table.name, table.mul_pj, table.add_pj, table.function_pj) == ("mine", 1.5, 0.5, 0.0)
    assert table.source == "our chip"
    assert cost_table("45nm-float32") == FLOAT32
    assert (FLOAT32.mac_pj, FLOAT32.ac_pj) == (4.6, 0.9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "at least mac_pj and ac_pj"),
        ("{", "cannot be read as JSON"),
        ('{"mac_pj": -1, "ac_pj": 1}', "0 or more, not -1"),
        ('{"mac_pj": 1, "ac_pj": 1, "mull_pj": 2}', "Did you mean 'mul_pj'"),
    ],
)
def test_a_broken_table_is_a_sentence(tmp_path, content, message):
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        cost_table(str(path))


def test_unknown_tables():
    with pytest.raises(ValueError, match="Did you mean '45nm-float32'"):
        cost_table("45nm-float23")
    with pytest.raises(FileNotFoundError, match="There is no cost table"):
        cost_table("nowhere.json")


def test_a_plain_module_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"takes a network of saccade, .* not a Sequential"):
        measure_energy(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), torch.rand(4, 2, 2, 8, 8))


def test_a_notebook_shows_the_energies(small):
    model = small(nn.Conv2d(2, 3, 3), 27, num_classes=2, steps=2, in_channels=2)
    report = measure_energy(model, torch.ones(1, 2, 5, 5, dtype=torch.float64))
    rows = dict(report.rows())
    assert rows["total"] == f"{1e6 * report.energy_mj():,.3f} nJ"
    assert "products of self attention as MACs" not in rows
    html = report._repr_html_()
    assert all(f">{what}</td>" in html and f">{much}</td>" in html for what, much in rows.items() if "'" not in what)
    assert "Horowitz" in html
