"""Networks of the user's own: `saccade.Sequential` and `saccade.Residual`, and what is said of them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.nn import VotingReadout
from saccade.ops.lif import cpu

T = 4
needs_numba = pytest.mark.skipif(cpu.unavailable() is not None, reason=str(cpu.unavailable()))


def layers(attention: str = "dta", **options: object) -> list[nn.Module]:
    return [
        nn.Conv2d(2, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        saccade.LIF(),
        nn.MaxPool2d(2),
        saccade.Residual(saccade.LIF(), nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)),
        saccade.LIF(),
        saccade.create_attention(attention, channels=8, steps=T, **options),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 9, 11),
    ]


def by_hand(net: saccade.Sequential, x: Tensor) -> Tensor:
    """The same network without a chain."""
    conv, norm, lif, pool, residual, lif2, gate, average, flat, linear = net
    folded = pool(lif(norm(conv(x.flatten(0, 1))).unflatten(0, (T, -1))).flatten(0, 1))
    inner = residual[0](folded.unflatten(0, (T, -1))).flatten(0, 1)
    current = (folded + residual[2](residual[1](inner))).unflatten(0, (T, -1))
    spikes = gate(lif2(current), current) if gate.placement == "spikes" else lif2(gate(current))
    return linear(flat(average(spikes.flatten(0, 1)))).unflatten(0, (T, -1))


@pytest.mark.parametrize(("attention", "placement"), [("dta", None), ("tcja", None), ("tcja", "current")])
@pytest.mark.parametrize("training", [True, False])
def test_does_what_its_modules_do(attention, placement, training, monkeypatch):
    monkeypatch.setattr(saccade.Residual, "__getitem__", lambda self, i: list(self.children())[i], raising=False)
    torch.manual_seed(0)
    net = saccade.Sequential(*layers(attention, placement=placement), steps=T, in_channels=2).double().train(training)
    theirs, x = copy.deepcopy(net), 2 * torch.randn(T, 3, 2, 13, 12).double()
    out, expected = net(x), by_hand(theirs, x)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    out.square().sum().backward()
    expected.square().sum().backward()
    for (name, p), q in zip(net.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-9, atol=1e-10, msg=name)
    assert list(net.state_dict())[:2] == ["0.weight", "1.weight"]


def test_images_lengths_and_copies():
    net = saccade.Sequential(*layers("tcja"), steps=T, in_channels=2)
    image = torch.randn(3, 2, 13, 12)
    assert net(image).shape == (T, 3, 11)
    assert net.num_classes == 11
    assert list(net.attention_modules()) == ["6"]
    twin = pickle.loads(pickle.dumps(net.eval()))
    assert torch.equal(twin(image), net(image))
    net.resize_steps(6)
    assert net(image).shape == (6, 3, 11)


def test_an_exchanged_module_is_the_one_that_runs():
    net = saccade.Sequential(nn.Conv2d(1, 3, 1), saccade.LIF(), nn.Flatten(), nn.Linear(12, 2), steps=2, in_channels=1)
    x = 3 * torch.randn(2, 5, 1, 2, 2)
    assert net(x).any()
    net.set_submodule("3", nn.Linear(12, 7, bias=False))
    nn.init.zeros_(net[3].weight)
    assert net(x).shape == (2, 5, 7)
    assert not net(x).any()


@needs_numba
def test_deploys_streams_and_says_who_runs_what():
    net = saccade.Sequential(*layers("none"), steps=T, in_channels=2)
    x = 2 * torch.randn(T, 3, 2, 13, 12)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rows = {row.link: row for row in saccade.explain(net, x)}
    assert {rows[name].engine for name in ("0", "2", "4", "5")} == {"cpu"}
    assert "sequence of frames" in rows["9"].reason
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(saccade.deploy(net, "exact")(x), net(x), rtol=0, atol=1e-5)
    handle = net[0].register_forward_hook(lambda *_: None)
    rows = {row.link: row for row in saccade.explain(net, x)}
    handle.remove()
    assert (rows["0"].engine, rows["0"].reason) == ("reference", "a hook waits for it")
    assert rows["4"].engine == "cpu"
    assert str(saccade.explain(net, x)).splitlines()[0].split() == ["link", "kind", "engine", "reason"]


def test_a_hook_on_a_container_is_called_with_the_sequence():
    inner = nn.Sequential(nn.Conv2d(2, 3, 1), saccade.LIF())
    net = saccade.Sequential(inner, nn.Flatten(), nn.Linear(48, 2), steps=T, in_channels=2)
    x, seen = torch.randn(T, 2, 2, 4, 4), []
    expected = net(x)
    handle = inner.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0].shape, out.shape)))
    assert torch.equal(net(x), expected)
    assert seen == [((T, 2, 2, 4, 4), (T, 2, 3, 4, 4))]
    handle.remove()
    assert torch.equal(net(x), expected)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("modules", "options", "words"),
    [
        ([], {}, "at least one module"),
        ([nn.Linear(3, 4), 7], {}, "number 1 is 7"),
        ([nn.Conv2d(2, 8, 3), saccade.LIF()], {}, "Say num_classes=K"),
        (layers("tcja"), {"steps": 5}, "built for steps=4, but the network for steps=5"),
        ([nn.Conv2d(2, 8, 3), saccade.create_attention("dta", 8, T)], {"num_classes": 2}, "right behind that neuron"),
    ],
)
def test_mistakes_are_said(modules, options, words):
    with pytest.raises(ValueError, match=words):
        saccade.Sequential(*modules, **{"steps": T, "in_channels": 2, **options})


def test_branches_that_do_not_fit_are_said():
    block = saccade.Residual(saccade.LIF(), nn.Conv2d(2, 3, 3, padding=1))
    with pytest.raises(ValueError, match=r"main branch gives \[4, 1, 3, 5, 5\].*shortcut \[4, 1, 2, 5, 5\]"):
        block(torch.randn(T, 1, 2, 5, 5))


def test_the_vote_counts_in_the_number_of_classes():
    net = saccade.Sequential(nn.Flatten(), nn.Linear(4, 20), VotingReadout(10), steps=2, in_channels=1)
    assert net.num_classes == 2
    assert net(torch.randn(3, 1, 2, 2)).shape == (2, 3, 2)


def test_a_module_that_stands_in_two_places_runs_in_both():
    pool, lif = nn.AvgPool2d(2), saccade.LIF()
    inner = nn.Sequential(nn.Conv2d(2, 4, 1), pool, nn.ReLU(), pool)
    net = saccade.Sequential(
        inner, lif, saccade.Residual(lif, nn.Conv2d(4, 4, 1), lif), nn.Flatten(), nn.Linear(16, 3),
        steps=2, in_channels=2).eval()  # fmt: skip
    assert " ".join(link.name for link in net.chain.walk()) == "0.0 0.1 0.2 0.3 1 2 2.0 2.1 2.2 3 4"
    x = 4 * torch.rand(2, 1, 2, 8, 8)
    frames = lif(inner(x.flatten(0, 1)).unflatten(0, (2, 1)))
    current = net[2].get_submodule("1")(lif(frames).flatten(0, 1)).unflatten(0, (2, 1))
    expected = net[4]((frames + lif(current)).flatten(2))
    assert frames.shape[-1] == 2
    torch.testing.assert_close(net(x), expected)
    assert len(list(net)) == 5
