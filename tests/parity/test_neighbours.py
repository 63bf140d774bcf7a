"""The gates that ours are compared with, against their released code, float64, 1e-9: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from golden import Golden, load
from test_modules import TOLERANCE, check
from torch import Tensor, nn

import saccade
from saccade.nn import LIF, fold_time, unfold_time
from saccade.nn.attention import Attention


def released(x: Tensor) -> Tensor:
    """[B, T, ...] as most of the files have it <-> [T, B, ...]."""
    return x.transpose(0, 1)


def built(name: str, golden: Golden, channels: int, steps: int, **options: object) -> Attention:
    module = saccade.create_attention(name, channels, steps, **options).double()
    saccade.load_official(module, golden.state())
    return module


MASNN = "masnn_ta", "masnn_ca", "masnn_sa", "masnn_tca", "masnn_tsa", "masnn_csa", "masnn_tcsa"


@pytest.mark.parametrize("file", MASNN)
def test_masnn(file: str) -> None:
    golden, name = load(file), file.removeprefix("masnn_")
    option = "reduction_{}" if len(name) > 2 else "reduction"
    ratios = {"t": (option.format("time"), 2), "c": (option.format("channel"), 4)}
    options = dict(ratios[axis] for axis in name[:-1] if axis in ratios)
    module = built(name, golden, 8, 6, rectify=True, **options)
    x = golden.input()
    check(module, golden, [x], module(released(x)), batch_first=True)


def test_masnn_on_features() -> None:
    golden = load("masnn_ta_fc")
    module = built("ta", golden, 10, 6, reduction=2, rectify=True)
    x = golden.input()
    check(module, golden, [x], module(released(x)[..., None, None]).flatten(2), batch_first=True)


def test_tasnn() -> None:
    golden = load("tasnn_ta")
    module = built("tasnn", golden, 8, 6, reduction=2)
    x = golden.input()
    check(module, golden, [x], module(released(x)), batch_first=True)


def test_gac() -> None:
    golden = load("gac_t4")
    module = built("gac", golden, 8, 4)
    current, spikes = golden.input(0), golden.input(1)
    output = module(released(spikes), current=released(current))
    check(module, golden, [current, spikes], output, batch_first=True)


@pytest.mark.parametrize(("name", "kernel_size"), [("fsta_k49_r1", 7), ("fsta_k9_r1", 3)])
def test_fsta(name: str, kernel_size: int) -> None:
    golden = load(name)
    module = built("fsta", golden, 8, 4, kernel_size=kernel_size)
    printed = golden.tensor("constant/dct")[:, None]
    torch.testing.assert_close(module.filters, printed.to(module.filters), rtol=0, atol=5e-5)
    module.filters = printed  # the authors' decimals
    x = golden.input()
    check(module, golden, [x], module(x), batch_first=False)


def test_stca() -> None:
    golden = load("stca2026")
    module = built("stca", golden, 8, 8, reduction_time=4, reduction_channel=2).eval()
    current, spikes = golden.input(0), golden.input(1)
    output = module(released(spikes), current=released(current))
    check(module, golden, [current, spikes], output, batch_first=True)


def test_stscs_gate() -> None:
    golden = load("stsc_attention")
    module = built("stsc", golden, 8, 6, reduction=2)
    x = golden.input()
    check(module, golden, [x], module.gate(x).flatten(2), batch_first=False)


@pytest.mark.parametrize(("name", "width"), [("stsc_conv", 3), ("stsc_fc", 5)])
def test_stsc_with_its_filter(name: str, width: int) -> None:
    golden = load(name)
    x = golden.input()
    module = built("stsc", golden, x.shape[2], 6, filter_time=width)
    output = module(x if x.ndim == 5 else x[..., None, None])
    check(module, golden, [x], output.reshape(x.shape), batch_first=False)


QK = [("token", "sj_qk_token"), ("channel", "sj_qk_channel")]


class QKAttention(nn.Module):
    """QKFormer's attention around the registered gate: out = LIF(BN(W' (gate * keys)))."""

    official_keys = (
        (r"^qk_conv_bn\.0\.", "qk.0."),
        (r"^qk_conv_bn\.1\.", "qk.1."),
        (r"^proj_conv_bn\.0\.", "out.0."),
        (r"^proj_conv_bn\.1\.", "out.1."),
    )

    def __init__(self, channels: int, steps: int, by: str, heads: int) -> None:
        super().__init__()
        self.qk = nn.Sequential(nn.Conv1d(channels, 2 * channels, 1, bias=False), nn.BatchNorm1d(2 * channels))
        self.out = nn.Sequential(nn.Conv1d(channels, channels, 1, bias=False), nn.BatchNorm1d(channels))
        self.neuron = LIF.published("spikingjelly")
        self.gate = [saccade.create_attention("qk", channels, steps, by=by, heads=heads)]

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.neuron(unfold_time(self.qk(fold_time(x)), len(x))).chunk(2, dim=2)
        gate = self.gate[0].gate_of_queries(q[..., None])[..., 0]
        return self.neuron(unfold_time(self.out(fold_time(gate * k)), len(x)))


@pytest.mark.parametrize(("by", "file"), QK)
def test_qk(by: str, file: str) -> None:
    golden = load(file)
    module = QKAttention(32, 4, by, heads=4).double().eval()
    saccade.load_official(module, golden.state())
    x = golden.input()
    check(module, golden, [x], module(x), batch_first=False)


@pytest.mark.parametrize(("by", "file"), QK)
def test_the_qk_gate_makes_its_own_queries(by: str, file: str) -> None:
    golden = load(file)
    gate = saccade.create_attention("qk", 32, 4, by=by, heads=4).double().eval()
    state = golden.state()
    with torch.no_grad():
        gate.conv.weight.copy_(state["qk_conv_bn.0.weight"][:32, :, :, None])
        for key in ("weight", "bias", "running_mean", "running_var"):
            getattr(gate.norm, key).copy_(state[f"qk_conv_bn.1.{key}"][:32])
    whole = QKAttention(32, 4, by, heads=4).double().eval()
    saccade.load_official(whole, state)
    x = golden.input()
    q, _ = whole.neuron(unfold_time(whole.qk(fold_time(x)), 4)).chunk(2, dim=2)
    ours, theirs = gate.gate(x[..., None]), whole.gate[0].gate_of_queries(q[..., None])
    assert torch.equal(ours, theirs)
    (ours_x,), (theirs_x,) = (torch.autograd.grad(g.cumsum(0).square().sum(), x) for g in (ours, theirs))
    assert theirs_x.any()
    torch.testing.assert_close(ours_x, theirs_x, **TOLERANCE)
