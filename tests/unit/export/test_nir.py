"""NIR graphs: what they say, round trips, and what other simulators make of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import saccade
from saccade.models.registry import model_entry
from saccade.nn.neuron import neurons_of
from saccade.nn.readout import VotingReadout

nir = pytest.importorskip("nir")

T, B, K = 4, 2, 3


def frames(channels: int = 2, side: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(T, B, channels, side, side, dtype=torch.float64, generator=generator) * 3


def fitted(net: saccade.Sequential) -> saccade.Sequential:
    """In float64, with batch norms of what they see, so that every layer fires."""
    net.double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 1, 3)
            nn.init.normal_(module.bias, 0.5, 0.5)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.1, 0.7)
    with torch.no_grad():
        net(frames())
    return net.eval()


def network(*neurons: nn.Module, gate: nn.Module | None = None) -> saccade.Sequential:
    torch.manual_seed(0)
    first, second, last = neurons or (saccade.LIF(), saccade.LIF(), saccade.LIF())
    return fitted(
        saccade.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            first,
            *([gate] if gate else []),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, padding=1),
            second,
            nn.Flatten(),
            nn.Linear(24, 2 * K, bias=False),
            last,
            VotingReadout(2),
            steps=T,
            in_channels=2,
            num_classes=K,
            input_size=(8, 8),
        )
    )


def fired(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """What every layer fires, and the logits."""
    found: list[torch.Tensor] = []
    handles = [n.register_forward_hook(lambda m, i, o: found.append(o)) for n in neurons_of(net).values()]
    with torch.no_grad():
        logits = net(x)
    for handle in handles:
        handle.remove()
    return [*found, logits]


def assert_fires_the_same(one: nn.Module, other: nn.Module, x: torch.Tensor) -> None:
    expected, found = fired(one, x), fired(other, x)
    assert len(found) == len(expected) > 1
    for ours, theirs in zip(expected[:-1], found[:-1], strict=True):
        assert 0 < ours.mean() < 1
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(found[-1], expected[-1])


NEURONS = {
    "lif": lambda: saccade.LIF(),
    "input decay": lambda: saccade.LIF.from_tau(2.0),
    "if": lambda: saccade.IF(threshold=2.0),
    "learned": lambda: saccade.PLIF(),
    "fires at its threshold": lambda: saccade.LIF(inclusive=True),
    "another reset": lambda: saccade.LIF.published("masnn"),
    "no memory": lambda: saccade.LIF(decay=0.0),
}


@pytest.mark.parametrize("neuron", NEURONS)
def test_there_and_back_through_a_file(neuron, tmp_path):
    net = network(*(NEURONS[neuron]() for _ in range(3)))
    saccade.export.nir(net, tmp_path / "net.nir")
    back = saccade.from_nir(tmp_path / "net.nir", steps=T, num_classes=K, dtype=torch.float64).eval()
    assert_fires_the_same(net, back, frames())


def test_residuals_are_edges_that_meet(tmp_path):
    torch.manual_seed(0)

    def block(channels: int, out: int) -> nn.Module:
        parts = saccade.LIF(), nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out)
        return saccade.Residual(*parts, shortcut=nn.Conv2d(channels, out, 1) if channels != out else None)

    layers = nn.Conv2d(2, 4, 3, padding=1), block(4, 4), block(4, 4), block(4, 6), saccade.LIF()
    net = saccade.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, K), steps=T, in_channels=2, input_size=(8, 8)
    )
    fitted(net)
    graph = saccade.export.nir(net)
    assert_fires_the_same(net, saccade.from_nir(graph, steps=T, dtype=torch.float64).eval(), frames())


@pytest.mark.parametrize("name", [name for name in saccade.list_models() if name != "fsvae"])
def test_every_network_is_said_or_refused_with_a_reason(name):
    size = (32, 32) if model_entry(name).cls.pools_globally else (35, 33)
    net = saccade.create_model(name, steps=2, in_channels=2, num_classes=K, input_size=size, width=0.05).double().eval()
    x = torch.rand(2, 1, 2, *size, dtype=torch.float64) * 3
    try:
        graph = saccade.export.nir(net)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith("NIR cannot say ")
        return
    back = saccade.from_nir(graph, steps=2, num_classes=K, dtype=torch.float64).eval()
    with torch.no_grad():
        torch.testing.assert_close(back(x), net(x))


def test_gates_are_refused_frozen_or_left_out():
    net = network(gate=saccade.create_attention("tcja", channels=4, steps=T))
    x = frames()
    with pytest.raises(ValueError, match=r'NIR has no sigmoid .* cannot say TCJA at 2. Say gates="frozen"'):
        saccade.export.nir(net)
    frozen = saccade.export.freeze_gates(net, [x])
    graph = saccade.export.nir(net, gates="frozen", calibration=[x])
    assert_fires_the_same(frozen, saccade.from_nir(graph, steps=T, num_classes=K, dtype=torch.float64).eval(), x)
    with torch.no_grad():
        gate = net[3].gate(fired(net, x)[0])
    np.testing.assert_allclose(graph.nodes["2_gate"].scale[:, 0, 0], gate.mean((0, 1, 3, 4)))
    bare = saccade.from_nir(saccade.export.nir(net, gates="left out"), steps=T, num_classes=K, dtype=torch.float64)
    assert_fires_the_same(saccade.export.leave_out_gates(net), bare.eval(), x)
    with pytest.raises(ValueError, match="no calibration input came by"):
        saccade.export.nir(net, gates="frozen")


def test_gates_on_the_current_stand_before_the_neuron():
    net = network(gate=saccade.create_attention("eca", channels=4, steps=T, placement="current"))
    x = frames()
    graph = saccade.export.nir(net, gates="frozen", calibration=[x])
    assert ("2_gate", "2") in graph.edges
    back = saccade.from_nir(graph, steps=T, num_classes=K, dtype=torch.float64)
    assert_fires_the_same(saccade.export.freeze_gates(net, [x]), back.eval(), x)


def spikingjelly(graph):
    return pytest.importorskip("spikingjelly.activation_based.nir_exchange").import_from_nir(graph)


def snntorch(graph):
    return pytest.importorskip("snntorch.import_nir").import_from_nir(graph)


def norse(graph):
    return pytest.importorskip("norse.torch").from_nir(graph, dt=1e-4)


def convolutions() -> list[nn.Module]:
    layers = nn.Conv2d(2, 4, 3, padding=1), saccade.LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, K)
    return [*layers, saccade.LIF(threshold=8.0)]


def dense(neuron) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(128, 6), neuron(threshold=8.0), nn.Linear(6, K), neuron(threshold=0.2)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("simulator", "layers"),
    [
        (spikingjelly, convolutions()),
        (spikingjelly, dense(saccade.LIF)),
        (snntorch, dense(saccade.LIF)),
        # it takes every r for 1, so that gain = 1 - decay alone is said
        (norse, dense(lambda threshold: saccade.LIF.from_tau(2.0, threshold=threshold))),
    ],
)
def test_other_simulators_fire_the_same(simulator, layers):
    torch.manual_seed(0)
    net = fitted(saccade.Sequential(*layers, steps=T, in_channels=2, num_classes=K, input_size=(8, 8))).float()
    x = frames()[:, :1].float()
    theirs = simulator(saccade.export.nir(net))
    state, found = None, []
    with torch.no_grad():
        for x_t in x:
            frame = x_t[0] if simulator is norse else x_t  # it flattens the batch too
            answer = theirs(frame, state)
            y_t, state = answer if isinstance(answer, tuple) else (answer, None)
            found.append(y_t.reshape(1, K))
        expected = net(x)
    assert 0 < expected.mean() < 1
    assert torch.equal(torch.stack(found), expected)


@pytest.mark.parametrize(
    ("build", "options", "sentence"),
    [
        (
            lambda: network(*(saccade.LIF(reset="soft") for _ in range(3))),
            {},
            "reset to v_reset, and this one by subtr",
        ),
        (lambda: network(gate=nn.MaxPool2d(1)), {}, r"cannot say 3 \(MaxPool2d\): of poolings NIR knows averages"),
        (lambda: network(), {"gates": "frosen"}, "Did you mean 'frozen'"),
        (lambda: saccade.create_model("fsvae", width=0.1).eval(), {}, "draws random spikes"),
    ],
)
def test_what_nir_cannot_say_is_refused(build, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        saccade.export.nir(build(), **options)


def test_what_is_no_network_is_refused():
    lif = {"tau": 1.0, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}

    def graph(**values: float) -> object:
        node = nir.LIF(**{k: np.full((1, 2, 2), v) for k, v in {**lif, **values}.items()})
        nodes = {"input": nir.Input(np.array([1, 2, 2])), "n": node, "output": nir.Output(np.array([1, 2, 2]))}
        return nir.NIRGraph(nodes, [("input", "n"), ("n", "output")])

    with pytest.raises(ValueError, match=r"leak to 1\.0; ours leak to 0"):
        saccade.from_nir(graph(v_leak=1.0), steps=T, num_classes=2)
    uneven = graph()
    uneven.nodes["n"].tau[0, 0, 0] = 2.0
    with pytest.raises(ValueError, match="several values of tau; ours have one"):
        saccade.from_nir(uneven, steps=T, num_classes=2)
    with pytest.raises(FileNotFoundError, match=r"There is no NIR graph net.nir"):
        saccade.from_nir("net.nir", steps=T)
