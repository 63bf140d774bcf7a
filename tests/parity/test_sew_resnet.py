"""SEW-ResNet against SpikingJelly's, float64, 1e-9."""

import pytest
import torch
from golden import load
from test_modules import check as check_module
from test_networks import build, check

import saccade
from saccade.models.sew_resnet import sew_block


@pytest.mark.parametrize(("name", "connection"), [("sj_sew_block_add", "add"), ("sj_sew_block_and", "and")])
def test_block(name, connection):
    golden = load(name)
    x = golden.input()
    shape = {"in_channels": x.shape[2], "channels": golden.tensor("output").shape[2], "stride": golden.meta["stride"]}
    block = sew_block(connection, **shape, backend="reference").double().train(golden.meta["train"])
    saccade.load_official(block, golden.state())
    check_module(block, golden, [x], block(x), batch_first=False)


def test_network():
    golden = load("sj_sew_resnet18")
    network = build("sew_resnet18", golden, num_classes=10, steps=4)
    x = golden.input()
    check(network, golden, x, network(x))


def test_iand_lets_the_shortcut_through_where_the_main_branch_is_silent():
    torch.manual_seed(0)
    parts = {"in_channels": 3, "channels": 3, "backend": "reference"}
    product, total = sew_block("iand", **parts).eval(), sew_block("add", **parts).eval()
    for key, weight in product.state_dict().items():
        if key.endswith("norm.bias"):
            weight.fill_(0.5)  # so that neurons fire
    total.load_state_dict(product.state_dict())
    x = (torch.rand(4, 2, 3, 5, 5) > 0.5).float()
    main = total(x) - x
    assert 0 < main.mean() < 1
    assert torch.equal(product(x), x * (1 - main))


def test_an_unknown_connection_gets_a_sentence():
    with pytest.raises(ValueError, match="connection must be one of add, and, iand, not 'or'"):
        saccade.create_model("sew_resnet18", connection="or")
