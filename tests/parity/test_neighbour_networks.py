"""The networks that the neighbours' gates were released in, float64, 1e-9: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from golden import Golden, load
from test_networks import build, check

import saccade
from saccade.models import sctfa_net, stsc_net

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


def official(network: saccade.Sequential, golden: Golden) -> saccade.Sequential:
    """A network of `models.neighbours`, with the authors' weights."""
    saccade.load_official(network.double().eval(), golden.state())
    return network


def test_sctfas_network() -> None:
    golden = load("sctfa_mnistdvs")
    network = official(sctfa_net(steps=5), golden)
    x = golden.input()
    sequence = x.transpose(0, 1)
    logits = network(sequence)
    stream = saccade.stream(network)
    assert torch.equal(torch.stack([stream.step(frame) for frame in sequence.detach()]), logits)
    check(network, golden, x, logits.mean(0))


def test_stscs_network_on_vectors() -> None:
    golden = load("stsc_shd")
    network = official(stsc_net(steps=8), golden)
    x = golden.input()
    check(network, golden, x, network(x[..., None, None]))
