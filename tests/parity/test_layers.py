"""Neurons and layers that are no gates, against the released code, float64, 1e-9: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from golden import Golden, load
from test_modules import TOLERANCE, check
from torch import Tensor, nn

import saccade
from saccade.models.official import official_rules, rename
from saccade.nn import LIF, TimeFolded, fold_time, unfold_time
from saccade.nn.attention import GatedNeuron
from saccade.nn.sctfa import SCTFA, SCTFALIF
from saccade.nn.sma import SMA
from saccade.nn.tim import TIM


def loaded(module: nn.Module, golden: Golden) -> nn.Module:
    saccade.load_official(module.double().eval(), golden.state())
    return module


class Released(nn.Module):
    """Modules of ours, wired as the authors' block is, under rules for its keys."""

    def __init__(self, rules: tuple[tuple[str, str], ...], **parts: nn.Module) -> None:
        super().__init__()
        self.official_keys = rules
        for name, part in parts.items():
            self.add_module(name, part)


def test_sctfas_gate() -> None:
    golden = load("sctfa_gate")
    module = loaded(SCTFA(8), golden)
    x = golden.input()
    check(module, golden, [x], module(x), batch_first=False)


def test_sctfas_layer() -> None:
    golden = load("sctfa_layer")
    layer = TimeFolded(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8))
    below = tuple(
        (pattern.replace(r"(^|\.)", r"^att1\."), r"neuron.gate." + new[2:]) for pattern, new in SCTFA.official_keys
    )
    rules = ((r"^conv1\.", "layer.0."), (r"^bn1\.", "layer.1."), *below)
    module = loaded(Released(rules, layer=layer, neuron=SCTFALIF(8)), golden)
    x = golden.input()
    spikes = module.neuron(module.layer(x))
    state, stepped = None, []
    for current in module.layer(x):
        spikes_t, state = module.neuron.step(current, state)
        stepped.append(spikes_t)
    assert torch.equal(torch.stack(stepped), spikes)
    check(module, golden, [x], spikes, batch_first=False)


def test_sma() -> None:
    golden = load("sma")
    module = loaded(SMA(8, 4, reduction_channel=4, reduction_time=2), golden)
    x = golden.input()
    check(module, golden, [x], module(x), batch_first=False)


@pytest.mark.parametrize("released", [False, True])
def test_tim(released: bool) -> None:
    golden = load("tim_released" if released else "tim")
    module = loaded(TIM(8, released=released), golden)
    q = golden.input()
    y = module(q)
    assert bool(y[1:].any()) != released  # as released there is no query after the first step
    check(module, golden, [q], y, batch_first=False)


class TIMAttention(Released):
    """Spiking self attention with TIM's queries: x = 0.25 (q k^T) v per head, then LIF, conv1x1 - BN - LIF."""

    def __init__(self, dim: int, heads: int, tokens: int, released: bool) -> None:
        def layer() -> TimeFolded:
            return TimeFolded(nn.Conv1d(dim, dim, 1, bias=False), nn.BatchNorm1d(dim))

        rules = (
            (r"^.*lif\.(?:threshold|act_fun\.alpha)$", ""),
            (r"^(\w+)_conv\.", r"\1.0."),
            (r"^(\w+)_bn\.", r"\1.1."),
            (r"^TIM\.interactor\.", "tim.conv."),
        )
        parts = {name: layer() for name in ("q", "k", "v", "proj")}
        super().__init__(rules, tim=TIM(tokens, released=released), **parts)
        self.heads = heads
        self.neuron = LIF.published("tim")
        self.after = LIF.published("tim", threshold=1.0 if released else 0.5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            self.neuron(part(x)).unflatten(2, (self.heads, -1)).transpose(3, 4) for part in (self.q, self.k, self.v)
        )
        attended = 0.25 * (self.tim(q) @ k.transpose(3, 4)) @ v
        return self.neuron(self.proj(self.after(attended.transpose(3, 4).flatten(2, 3))))


@pytest.mark.parametrize("released", [False, True])
def test_tim_inside_self_attention(released: bool) -> None:
    golden = load("tim_ssa_released" if released else "tim_ssa")
    module = loaded(TIMAttention(32, 4, 8, released), golden)
    x = golden.input()
    check(module, golden, [x], module(x), batch_first=False)


FSTA_BLOCK = (
    (r"^(.*\.)?(?:x|t_scale|s_scale)$", ""),
    (r"^conv(\d)\.pool\.", r"conv\1."),
    (r"^bn(\d)\.bn\.", r"norm\1."),
    (r"^(?:relu(\d)\.)?dct\.", r"gate\1."),
    (r"\.fc_t\.weight$", ".mix_steps"),
    (r"\.freq_attention\.freq_attention\.0\.", ".mix.0."),
    (r"\.t$", ".m"),
    (r"\.s$", ".n"),
)


def fsta(golden: Golden, channels: int, steps: int) -> nn.Module:
    gate = saccade.create_attention("fsta", channels, steps).double()
    gate.filters = golden.tensor("constant/dct")[:, None]  # the authors' decimals
    return gate


def test_fstas_neuron() -> None:
    golden = load("fsta_lif")
    gate = fsta(golden, 8, 4)
    rules = ((r"^(.*\.)?(?:x|t_scale|s_scale)$", ""), (r"^dct\.", "gate."), *FSTA_BLOCK[4:])
    module = loaded(Released(rules, gate=gate), golden)
    x = golden.input()
    check(module, golden, [x], GatedNeuron(LIF.published("fsta"), module.gate)(x), batch_first=False)


def test_fstas_block() -> None:
    golden = load("fsta_block")
    parts = {f"conv{i}": nn.Conv2d(64, 64, 3, padding=1, bias=False) for i in (1, 2)}
    parts |= {f"norm{i}": nn.BatchNorm2d(64) for i in (1, 2)}
    parts |= {f"gate{i}": fsta(golden, 64, 2) for i in (1, 2)}
    module = loaded(Released(FSTA_BLOCK, **parts), golden)
    neuron = LIF.published("fsta")
    x = golden.input()

    def layer(conv: nn.Module, norm: nn.Module, s: Tensor) -> Tensor:
        return unfold_time(norm(conv(fold_time(s))), len(s))

    s = GatedNeuron(neuron, module.gate1)(layer(module.conv1, module.norm1, x))
    y = GatedNeuron(neuron, module.gate2)(layer(module.conv2, module.norm2, s) + x)
    check(module, golden, [x], y, batch_first=False)
    for key in (k for k in golden.arrays if k.startswith("gradslice/")):
        name = rename(key.removeprefix("gradslice/"), official_rules(module))
        torch.testing.assert_close(module.get_parameter(name).grad[::16], golden.tensor(key), **TOLERANCE)


def masnn_rules(name: str, to: str) -> tuple[tuple[str, str], ...]:
    """The keys of MA-SNN's attentions below `name`."""
    bottlenecks = (
        (rf"^{name}{part}\.sharedMLP\.{i}\.", rf"{to}{part}.mlp.{layer}.")
        for part in ("ta", "ca")
        for i, layer in ((0, "squeeze"), (2, "excite"))
    )
    return *bottlenecks, (rf"^{name}sa\.conv\.", f"{to}sa.conv.")


def test_masnns_block() -> None:
    golden = load("masnn_conv_block_tcsa")
    gate = saccade.create_attention("tcsa", 8, 6, reduction_time=2, reduction_channel=4, rectify=True)
    layer = TimeFolded(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.AvgPool2d(2))
    rules = ((r"^conv2d\.", "layer.0."), (r"^BNLayer\.", "layer.1."), *masnn_rules(r"attention\.", "gate."))
    module = loaded(Released(rules, layer=layer, gate=gate), golden)
    x = golden.input()
    y = GatedNeuron(LIF.published("masnn"), module.gate)(module.layer(x.transpose(0, 1)))
    check(module, golden, [x], y, batch_first=True)


def test_att_ms_resnets_block() -> None:
    golden = load("attmsresnet_block_csa")
    gate = saccade.create_attention("csa", 16, 3, reduction_channel=8, rectify=True)
    rules = (
        (r"^residual_function\.1\.", "first.0."),
        (r"^residual_function\.2\.bn\.", "first.1."),
        (r"^residual_function\.4\.", "second.0."),
        (r"^residual_function\.5\.bn\.", "second.1."),
        (r"^shortcut\.1\.", "shortcut.1."),
        (r"^shortcut\.2\.bn\.", "shortcut.2."),
        *masnn_rules(r"residual_function\.6\.attention\.", "gate."),
    )
    module = loaded(
        Released(
            rules,
            first=TimeFolded(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)),
            second=TimeFolded(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)),
            shortcut=TimeFolded(nn.AvgPool2d(2), nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16)),
            gate=gate,
        ),
        golden,
    )
    neuron = LIF.published("msresnet")
    x = golden.input()
    y = module.shortcut(x) + module.gate(module.second(neuron(module.first(neuron(x)))))
    check(module, golden, [x], y, batch_first=False)
