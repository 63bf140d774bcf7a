"""Networks train with norm and neuron in one Triton kernel: the same numbers as module by module."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saccade.chain import chain_of
from saccade.engines import triton as engine
from saccade.engines.run import run_links
from saccade.models.blocks import ConvNorm
from saccade.models.msresnet import MSBlock
from saccade.nn import LIF, PLIF, GatedNeuron, create_attention
from saccade.ops.lif import triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(triton.unavailable() is not None, reason=str(triton.unavailable()))
T, C = 3, 4


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of the fused operation."""
    found: list[Any] = []
    real = engine.norm_lif
    monkeypatch.setattr(engine, "norm_lif", lambda *a: found.append(a) or real(*a))
    return found


def use(module: nn.Module, backend: str) -> nn.Module:
    for part in module.modules():
        if isinstance(part, LIF):
            part.backend = backend
    return module


def fire_normed(stage: nn.Module, neuron: nn.Module, x: Tensor) -> Tensor:
    return run_links(chain_of([("stage", stage), ("neuron", neuron)]), x)


def gradients(module: nn.Module, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
    leaf = x.detach().requires_grad_()
    y = module(leaf)
    y.backward(grad)
    assert leaf.grad is not None
    named = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {"y": y.detach(), "x": leaf.grad, **named, **dict(module.named_buffers())}


@pytest.mark.parametrize("attention", [None, "none", "tcja"])
def test_a_block_trains_as_module_by_module(attention: str | None, calls: list[Any]) -> None:
    torch.manual_seed(0)
    neuron2 = None if attention is None else GatedNeuron(LIF(), create_attention(attention, C, T))
    ours = use(MSBlock(3, C, neuron2=neuron2), "triton").to(DEVICE)
    theirs = use(copy.deepcopy(ours), "reference")
    x, grad = torch.randn(T, 2, 3, 5, 5, device=DEVICE), torch.randn(T, 2, C, 5, 5, device=DEVICE)
    found, expected = gradients(ours, x, grad), gradients(theirs, x, grad)
    assert len(calls) == 1
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


class Counted(LIF):
    """Somebody's own neuron."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


@pytest.mark.parametrize(
    "neuron",
    [
        PLIF(backend="triton"),
        Counted(backend="triton"),
        GatedNeuron(LIF(backend="triton"), create_attention("dta", C, T)),
        GatedNeuron(LIF(backend="triton"), create_attention("tcja", C, T, placement="current")),
        LIF(backend="reference"),
    ],
    ids=["learned", "foreign", "gated by the current", "gate on the current", "another backend"],
)
def test_all_other_neurons_run_by_themselves(neuron: nn.Module, calls: list[Any]) -> None:
    stage, neuron = ConvNorm(3, C).to(DEVICE), neuron.to(DEVICE)
    x = torch.randn(T, 2, 3, 5, 5, device=DEVICE)
    y = fire_normed(stage, neuron, x)
    assert not calls
    torch.testing.assert_close(y, neuron(stage(x)))


def test_hooks_and_scoring_see_their_modules(calls: list[Any]) -> None:
    stage, neuron = ConvNorm(3, C).to(DEVICE), LIF(backend="triton")
    x = torch.randn(T, 2, 3, 5, 5, device=DEVICE)
    seen: list[Tensor] = []
    with neuron.register_forward_hook(lambda module, inputs, spikes: seen.append(spikes)):
        fire_normed(stage, neuron, x)
    assert len(seen) == 1
    fire_normed(stage.eval(), neuron, x)
    assert not calls
    fire_normed(stage.train(), neuron, x)
    assert len(calls) == 1
