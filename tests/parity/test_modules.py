"""The neuron and every attention module against the released code, float64, 1e-9."""

import pytest
import torch
from golden import load
from torch import Tensor, nn

import saccade
from saccade.models.msresnet import MSBlock
from saccade.models.official import official_rules, rename, split_part

TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}


def assert_gradients(module: nn.Module, golden) -> None:
    rules = official_rules(module)
    gradients = golden.gradients()
    assert gradients
    for key, expected in {**gradients, **golden.gradient_rows()}.items():
        ours, part = split_part(rename(key, rules))
        found = module.get_parameter(ours).grad
        found = (found if part is None else part.rows(found)).reshape(expected.shape)
        known = ~expected.isnan()
        assert known.any()
        torch.testing.assert_close(found[known], expected[known], **TOLERANCE, msg=key)


def check(module: nn.Module, golden, inputs: list[Tensor], output: Tensor, batch_first: bool) -> None:
    def released(x: Tensor) -> Tensor:
        return x.transpose(0, 1) if batch_first else x

    torch.testing.assert_close(released(output), golden.tensor("output"), **TOLERANCE)
    released(output).backward(golden.tensor("cotangent"))
    for i, x in enumerate(inputs):
        torch.testing.assert_close(x.grad, golden.tensor(f"grad_input{i}"), **TOLERANCE)
    if golden.gradients():
        assert_gradients(module, golden)


def test_lif():
    golden = load("lif_zif")
    x = golden.input()
    lif = saccade.LIF()
    check(lif, golden, [x], lif(x.transpose(0, 1)), batch_first=True)


@pytest.mark.parametrize(
    ("name", "attention", "options"),
    [
        ("tla_k4", "tla", {"kernel_time": 4}),
        ("cla_k3", "cla", {"kernel_channel": 3}),
        ("tcja_k44", "tcja", {"kernel_time": 4, "kernel_channel": 4}),
        ("tcja_k23", "tcja", {"kernel_time": 3, "kernel_channel": 2}),  # released: kernel_size_t=2, kernel_size_c=3
    ],
)
def test_tcja_family(name, attention, options):
    golden = load(name)
    T, _, C, _, _ = golden.arrays["input0"].shape
    module = saccade.create_attention(attention, channels=C, steps=T, **options).double()
    saccade.load_official(module, golden.state())
    x = golden.input()
    check(module, golden, [x], module(x), batch_first=False)


def test_dta():
    golden = load("dta")
    module = saccade.create_attention("dta", channels=64, steps=4).double()
    saccade.load_official(module, golden.state())
    current, spikes = golden.input(0), golden.input(1)
    output = module(spikes.transpose(0, 1), current=current.transpose(0, 1))
    check(module, golden, [current, spikes], output, batch_first=True)


def test_txa():
    golden = load("txa")
    module = saccade.create_attention("txa", channels=64, steps=4).double()
    saccade.load_official(module, golden.state())
    x = golden.input()
    check(module, golden, [x], module.score(x.transpose(0, 1)), batch_first=True)


def test_tna():
    golden = load("tna")
    module = saccade.create_attention("tna", channels=8, steps=4).double()
    saccade.load_official(module, golden.state())
    x = golden.input()  # [B, T*C, H, W]
    score = module.score(x.unflatten(1, (4, 8)).transpose(0, 1))
    check(module, golden, [x], score.transpose(0, 1).flatten(1, 2), batch_first=False)


def test_ms_block():
    golden = load("basicblock_ms")
    block = MSBlock(8, 8).double().eval()
    saccade.load_official(block, golden.state())
    x = golden.input()
    check(block, golden, [x], block(x.transpose(0, 1)), batch_first=True)
