"""The summary of a network: against hand counts and the energy report, and what it says of unknown modules."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import saccade
from saccade.probe import measure_energy, measure_firing
from saccade.probe.overview import short

NETWORKS = saccade.list_models()


class Doubled(nn.Module):
    """A module of somebody's own, with a layer inside: [T, B, C, H, W] -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 1, bias=False)

    def forward(self, x):
        return torch.special.erf(2 * self.inner(x.flatten(0, 1))).unflatten(0, x.shape[:2])


def check_sums(model, x, found) -> None:
    """The rows are the whole network, each part of it once."""
    total = found.total
    assert total.parameters == sum(p.numel() for p in model.parameters())
    torch.manual_seed(3)
    report = measure_energy(model, x)
    operations = report.sums()["total"]
    assert total.macs * found.samples == pytest.approx(operations.macs)
    assert total.acs * found.samples == pytest.approx(operations.acs)
    assert total.energy_nj == pytest.approx(1e6 * report.energy_mj())
    assert max(map(len, str(found).splitlines())) <= 80


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("attention", ["tcja", "dta"])
def test_every_network_is_listed_whole(lively, name, attention):
    size = 32
    own = {"image_size": size} if name == "fsvae" else {"input_size": (size, size)}
    torch.manual_seed(0)
    model = saccade.create_model(name, width=0.06, steps=3, in_channels=2, attention=attention, **own)
    x = torch.rand(3, 2, 2, size, size) * 3
    torch.manual_seed(3)
    found = saccade.summary(model, x)
    check_sums(model, x, found)
    assert found.network == name
    assert not any(row.opaque for row in found.rows)
    assert found.not_counted == {}
    assert sum(row.rate is not None for row in found.rows) == len(measure_firing(model, [x]))
    gates = [row for row in found.rows if row.kind == attention.upper()]
    assert gates
    assert all(row.parameters and row.energy_nj and row.output for row in gates)


def test_shapes_parameters_and_operations_by_hand():
    net = saccade.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), saccade.LIF(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(12, 5), steps=2, in_channels=2)  # fmt: skip
    with torch.no_grad():
        net[0].weight.fill_(2.0)
    found = saccade.summary(net, torch.ones(1, 2, 4, 4))
    rows = {row.layer: row for row in found.rows}
    assert list(rows) == ["0", "2", "3", "4", "5"]
    conv, neuron, _, _, linear = rows.values()
    assert [row.kind for row in rows.values()] == ["Conv2d 3x3 BN", "LIF", "MaxPool2d", "Flatten", "Linear"]
    assert [row.output for row in rows.values()] == [(3, 4, 4), (3, 4, 4), (3, 2, 2), (12,), (5,)]
    assert (conv.parameters, linear.parameters, neuron.parameters) == (2 * 3 * 9 + 6, 65, 0)
    # along an axis of 4 with a border of zeros, 2 + 3 + 3 + 2 products
    assert (conv.acs, conv.macs) == (10 * 10 * 2 * 3 * 2, 0)
    assert (neuron.macs, neuron.rate) == (3 * 16 * 2, 1.0)
    assert (linear.acs, linear.energy_nj) == (12 * 5 * 2, pytest.approx(12 * 5 * 2 * 0.9e-3))
    assert (found.rate, found.steps, found.samples, found.input) == (1.0, 2, 1, (2, 4, 4))


def test_parts_of_residuals_stand_below_them_and_a_module_that_is_called_twice_stands_once():
    pool = nn.AvgPool2d(2)
    net = saccade.Sequential(
        nn.Conv2d(2, 4, 1), pool, saccade.Residual(saccade.LIF(), nn.Conv2d(4, 4, 1)), pool, nn.Flatten(),
        nn.Linear(64, 3), steps=2, in_channels=2)  # fmt: skip
    x = torch.rand(2, 1, 2, 16, 16)
    found = saccade.summary(net, x)
    check_sums(net, x, found)
    text = str(found)
    assert re.search(r"^2 +Residual +4x8x8", text, re.M)
    assert re.search(r"^  0 +LIF +4x8x8", text, re.M)
    assert [row.kind for row in found.rows].count("AvgPool2d") == 1


def test_what_is_not_known_is_said():
    net = saccade.Sequential(
        nn.Conv2d(2, 4, 1), saccade.LIF(), Doubled(), nn.Flatten(), nn.Linear(16, 3), steps=2, in_channels=2
    )
    found = saccade.summary(net, torch.rand(2, 1, 2, 2, 2))
    (opaque,) = [row for row in found.rows if row.opaque]
    assert (opaque.layer, opaque.kind, opaque.output) == ("2", "Doubled", (4, 2, 2))
    assert (found.rows[3].layer, found.rows[3].inside, found.rows[3].parameters) == ("2.inner", "2", 16)
    assert found.not_counted == {"erf": 2 * 16}
    text = str(found)
    assert "* 2 (Doubled) is opaque: no module of saccade or torch." in text
    assert "NOT COUNTED, because no rule is known: erf." in text
    assert "Doubled *" in text


def test_networks_of_spikingjelly():
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    theirs = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, step_mode="m"), layer.BatchNorm2d(4, step_mode="m"),
        neuron.LIFNode(step_mode="m"), neuron.IzhikevichNode(step_mode="m"), layer.Flatten(step_mode="m"),
        layer.Linear(64, 3, step_mode="m"))  # fmt: skip
    net = saccade.from_spikingjelly(theirs, steps=2)
    x = torch.rand(2, 2, 2, 4, 4)
    found = saccade.summary(net, x)
    assert [row.kind for row in found.rows[:3]] == ["Conv2d 3x3 BN", "LIF", "Kept"]
    assert found.rows[2].opaque.startswith("kept as it is")
    assert found.total.parameters == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.rand(2, 3, 4, 4), "built for in_channels=2 but the input"),
        (torch.rand(3, 1, 2, 4, 4), "built for steps=2 but the input has 3 steps"),
        (torch.rand(2, 4, 4), "takes images"),
        (
            torch.rand(2, 1, 2, 6, 6),
            r"does not take an input \[2, 1, 2, 6, 6\] of torch.float32 on cpu at 3 \(Linear\)",
        ),
        (torch.ones(2, 1, 2, 4, 4, dtype=torch.uint8), "not a tensor of torch.uint8"),
        (torch.rand(2, 0, 2, 4, 4), "at least one sample"),
        ([1, 2], "not a list"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_in_a_sentence(x, said):
    net = saccade.Sequential(nn.Conv2d(2, 4, 1), saccade.LIF(), nn.Flatten(), nn.Linear(64, 3), steps=2, in_channels=2)
    with pytest.raises(ValueError, match=said):
        saccade.summary(net, x)
    with pytest.raises(ValueError, match="takes a network of saccade"):
        saccade.summary(nn.Linear(2, 2), torch.rand(2, 2, 4, 4))


def test_leaves_the_model_as_it_was(lively, untouched):
    model, x = lively(attention="dta")
    untouched(model, lambda: saccade.summary(model, x))


def test_a_notebook_shows_the_table(lively):
    found = saccade.summary(*lively(attention="dta"))
    html = found._repr_html_()
    assert html.count("<tr>") == len(found.rows) + 2
    assert all(f">{text}<" in html for text in ("stages.0.0", "  conv1", "DTA", "total"))


def test_numbers_are_short():
    assert [short(n) for n in (0, 7, 999, 999.6, 1234567, 0.01234)] == ["", "7", "999", "1k", "1.23M", "0.0123"]
