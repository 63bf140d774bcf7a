"""Whole networks against the released code, float64, 1e-9: outputs, input gradients, parameter gradients."""

import pytest
import torch
from golden import load
from test_modules import TOLERANCE, assert_gradients

import saccade

MSRESNET = {
    "msresnet18_dta_static": {"attention": "dta"},
    "msresnet18_dta_static_train": {"attention": "dta"},
    "msresnet18_dta_dvs": {"attention": "dta", "in_channels": 2},
    "msresnet18_plain_static": {"attention": "none", "stem_neuron": False},
    "msresnet34_dta": {"attention": "dta"},
}
TCJA = {
    "vggsnn_tcja_cifar10dvs": ("vggsnn_tet", True),
    "cifar10dvs_tcja_vgg": ("vggsnn", False),
    "ncaltech101_tcja": ("caltech_net", False),
    "ncaltech101_tcja_tet": ("caltech_net_tet", False),
    "vggsnn_tcja_ncaltech101": ("vggsnn_caltech_tet", True),
}


def build(model: str, golden, **options):
    network = saccade.create_model(model, backend="reference", **options).double().train(golden.meta["train"])
    return saccade.load_official(network, golden.state())


def check(network, golden, x, output):
    torch.testing.assert_close(output, golden.tensor("output"), **TOLERANCE)
    assert golden.tensor("output").abs().max() > 0
    output.backward(golden.tensor("cotangent"))
    if "grad_input0" in golden.arrays:
        torch.testing.assert_close(x.grad, golden.tensor("grad_input0"), **TOLERANCE)
    assert_gradients(network, golden)


@pytest.mark.parametrize("name", MSRESNET)
def test_msresnet(name):
    golden = load(name)
    kwargs = golden.meta["kwargs"]
    network = build(
        name.split("_")[0], golden, num_classes=kwargs["num_classes"], steps=kwargs["time_step"], **MSRESNET[name]
    )
    x = golden.input()
    sequence = x.transpose(0, 1) if x.ndim == 5 else x
    check(network, golden, x, network(sequence).transpose(0, 1))


@pytest.mark.parametrize("name", TCJA)
def test_tcja_networks(name):
    model, batch_first_output = TCJA[name]
    golden = load(name)
    network = build(model, golden, attention="tcja")
    x = golden.input()
    output = network(x.transpose(0, 1))
    check(network, golden, x, output.transpose(0, 1) if batch_first_output else output)


def test_gesture_network():
    golden = load("dvsgesture_tcja")
    network = build("dvsgesture_net", golden, attention="tcja")
    x = golden.input()
    check(network, golden, x, network(x.transpose(0, 1)).mean(0))


def test_the_readme_says_whose_input_gradients_are_not_compared():
    files = [*MSRESNET, *TCJA, "dvsgesture_tcja"]
    have = {name for name in files if "grad_input0" in load(name).arrays}
    assert have == {*MSRESNET, "vggsnn_tcja_cifar10dvs"}
    assert all(load(name).gradients() for name in files)
    assert [name for name in files if load(name).meta["train"]] == ["msresnet18_dta_static_train"]


def test_wrong_checkpoint_is_refused():
    golden = load("dvsgesture_tcja")
    network = saccade.create_model("dvsgesture_net", attention="none").double()
    with pytest.raises(ValueError, match=r"nothing missing .*; 4 left over \(their names\): conv\.11\.conv\.weight"):
        saccade.load_official(network, golden.state())
    state = golden.state()
    del state["fc.5.0.weight"]
    network = saccade.create_model("dvsgesture_net", attention="tcja").double()
    with pytest.raises(ValueError, match=r"1 missing \(our names\): classifier\.4\.weight; nothing left over"):
        saccade.load_official(network, state)


def test_doubles_that_disagree_are_refused():
    golden = load("msresnet18_plain_static")
    network = saccade.create_model("msresnet18", num_classes=7, steps=4, stem_neuron=False).double()
    state = golden.state()
    state["layer1.0.conv1_s.layer.module.weight"] = state["layer1.0.conv1.weight"] + 1
    with pytest.raises(ValueError, match="two names of the same tensor"):
        saccade.load_official(network, state)
