"""The networks that the neighbours' gates were released in, float64, 1e-9: outputs and gradients."""

from __future__ import annotations

import pytest
from golden import load
from test_networks import build, check

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
