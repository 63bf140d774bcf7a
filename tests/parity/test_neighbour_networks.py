"""The networks that the neighbours' gates were released in, float64, 1e-9: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from golden import Golden, load
from test_networks import build, check
from torch import nn

import saccade
from saccade.nn import LIF, SCTFALIF, VotingReadout
from saccade.nn.attention.contract import Rules
from saccade.nn.sctfa import SCTFA

SCTFA_KEYS = SCTFA.official_keys

MSRESNET = {
    "msresnet18_gac_static": ("msresnet18", {"num_classes": 10, "steps": 6}),
    "msresnet18_gac_imagenet": ("msresnet18_imagenet", {"num_classes": 1000, "steps": 4}),
}
GESTURE = {
    "masnn_dvsgesture_csa": {"attention": "csa", "attention_options": {"reduction_channel": 8}},
    "masnn_dvsgesture_tcsa": {
        "attention": "tcsa",
        "attention_options": {"reduction_time": 2, "reduction_channel": 8},
    },
    "tasnn_dvsgesture": {"attention": "tasnn", "attention_options": {"reduction": 2}},
}


@pytest.mark.parametrize("name", MSRESNET)
def test_gacs_networks(name: str) -> None:
    model, options = MSRESNET[name]
    golden = load(name)
    network = build(model, golden, attention="gac", **options)
    x = golden.input()
    check(network, golden, x, network(x).transpose(0, 1))


@pytest.mark.parametrize("name", GESTURE)
def test_the_gesture_network(name: str) -> None:
    golden = load(name)
    network = build("masnn_gesture_net", golden, steps=golden.meta["T"], **GESTURE[name])
    x = golden.input()
    check(network, golden.with_shared_ties(), x, network(x.transpose(0, 1)).mean(0))


def wired(golden: Golden, rules: Rules, *modules: nn.Module, **sizes: int) -> saccade.Sequential:
    """A network of one's own, with the authors' weights."""
    network = saccade.Sequential(*modules, **sizes).double().eval()
    network.official_keys = rules
    saccade.load_official(network, golden.state())
    return network


def test_sctfas_network() -> None:
    golden = load("sctfa_mnistdvs")
    convs = [(2, 32, 7, 2), (32, 64, 3, 1), (64, 128, 3, 1)]
    layers: list[nn.Module] = []
    rules: list[tuple[str, str]] = [(r"^fc1\.", "13."), (r"^fc2\.", "15.")]
    for i, (channels, out, kernel, stride) in enumerate(convs):
        conv = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2)
        layers += [conv, nn.BatchNorm2d(out), SCTFALIF(out), nn.AvgPool2d(2)]
        rules += [(rf"^conv{i + 1}\.", f"{4 * i}."), (rf"^bn{i + 1}\.", f"{4 * i + 1}.")]
        rules += [(p.replace(r"(^|\.)", rf"^att{i + 1}\."), f"{4 * i + 2}.gate." + to[2:]) for p, to in SCTFA_KEYS]
    lifs = [LIF.published("sctfa") for _ in range(2)]
    head = [nn.Flatten(), nn.Linear(8192, 512), lifs[0], nn.Linear(512, 50), lifs[1], VotingReadout(5)]
    network = wired(golden, tuple(rules), *layers, *head, steps=5, in_channels=2)
    x = golden.input()
    sequence = x.transpose(0, 1)
    logits = network(sequence)
    stream = saccade.stream(network)
    assert torch.equal(torch.stack([stream.step(frame) for frame in sequence.detach()]), logits)
    check(network, golden, x, logits.mean(0))


def test_stscs_network_on_vectors() -> None:
    golden = load("stsc_shd")
    gate = saccade.create_attention("stsc", 700, 8, filter_time=5)
    layers: list[nn.Module] = []
    for features, out in ((700, 128), (128, 128), (128, 100)):
        neuron = LIF(decay=0.9, threshold=0.3, surrogate="atan", detach_reset=True, inclusive=True)
        layers += [nn.Linear(features, out), neuron]
    below = tuple((p.replace(r"(^|\.)", r"^fc\.0\."), "0." + to[2:]) for p, to in gate.official_keys)
    rules = (*below, *((rf"^fc\.{i}\.", f"{i + 1}.") for i in (1, 3, 5)))
    network = wired(golden, rules, gate, nn.Flatten(), *layers, VotingReadout(5), steps=8, in_channels=700)
    x = golden.input()
    check(network, golden, x, network(x[..., None, None]))
