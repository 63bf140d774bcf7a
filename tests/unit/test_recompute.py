"""Blocks that are computed again in backward: the same numbers, less that is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.bench.timing import saved_bytes
from saccade.cli.train import parse_train
from saccade.data import DataInfo
from saccade.engines import cpu
from saccade.engines.recompute import recomputed
from saccade.models import SpikingNetwork
from saccade.models.msresnet import MSBlock
from saccade.nn import LIF
from saccade.ops.lif import triton
from saccade.recipes import get_recipe
from saccade.train.build import build_model
from saccade.train.firing import FiringMeter

T, B = 3, 2
#: name, attention, size of a small input
FAMILIES = [
    ("msresnet18", "dta", 8),
    ("msresnet18", "tcja", 8),
    ("vggsnn", "tcja", 16),
    ("vggsnn_tet", "se", 16),
    ("dvsgesture_net", "tcja", 32),
    ("caltech_net_tet", "none", 32),
    ("fashion_net", "tla", 14),
]


def network(name: str, attention: str, size: int, backend: str = "auto") -> SpikingNetwork:
    """Dropout and all, in training mode, with neurons that fire all the way to the output."""
    torch.manual_seed(0)
    model = saccade.create_model(
        name, attention=attention, steps=T, in_channels=2, input_size=(size, size), width=0.07, backend=backend
    ).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 2.0)
            nn.init.normal_(module.bias, 0.2, 0.1)
    return model


def frames(size: int, static: bool = False) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(*([] if static else [T]), B, 2, size, size, dtype=torch.float64)


def two_steps(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Train for two steps; the output, the gradients and the buffers after each."""
    optimizer, found = torch.optim.SGD(model.parameters(), lr=1e-3), []
    torch.manual_seed(2)
    for _ in range(2):
        leaf = x.clone().requires_grad_()
        optimizer.zero_grad()
        out = model(leaf)
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
        found += [out.detach(), leaf.grad, *grads, *(b.clone() for b in model.buffers())]
        optimizer.step()
    assert float(next(model.parameters()).grad.abs().max()) > 0  # else nothing was compared
    return found


def kept(model: nn.Module, x: Tensor) -> int:
    """Bytes that a forward pass keeps, weights apart."""
    return saved_bytes(lambda: model(x)) - sum(p.numel() * p.element_size() for p in model.parameters())


def same(ours: list[Tensor], plain: list[Tensor]) -> bool:
    pairs = [(a.double(), b.double()) for a, b in zip(ours, plain, strict=True)]
    return all(float((a - b).abs().max()) <= 1e-12 * max(1.0, float(b.abs().max())) for a, b in pairs)


@pytest.mark.parametrize(
    ("family", "static", "backend"), list(product(FAMILIES, (False, True), ("auto", "reference"))), ids=str
)
def test_the_numbers_are_the_same(family, static, backend):
    results = []
    for enable in (True, False):
        model = network(*family, backend)
        model.set_grad_checkpointing(enable)
        results.append(two_steps(model, frames(family[2], static)))
    assert same(*results)


@pytest.mark.skipif(triton.unavailable() is not None, reason=str(triton.unavailable()))
def test_norm_and_neuron_in_one_gpu_kernel_move_the_statistics_once():
    blocks, x = [MSBlock(3, 4, stride=2, backend="triton") for _ in range(2)], torch.randn(T, B, 3, 5, 5)
    blocks[1].load_state_dict(blocks[0].state_dict())
    blocks[1].grad_checkpointing = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert same(*(two_steps(block.to(device), x.to(device)) for block in blocks))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_autocast_is_the_same_the_second_time(backend):
    found = []
    for enable in (True, False):
        model = network("msresnet18", "tcja", 8, backend).float()
        model.set_grad_checkpointing(enable)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(frames(8).float())
        out.float().square().sum().backward()
        found.append([out.detach(), *(p.grad for p in model.parameters()), *model.buffers()])
    assert found[0][0].dtype == torch.bfloat16
    assert same(*found)


@pytest.mark.parametrize(("family", "backend"), list(product(FAMILIES, ("auto", "reference"))), ids=str)
def test_less_is_kept(family, backend):
    model, x = network(*family, backend), frames(family[2])
    plain = kept(model, x)
    model.set_grad_checkpointing()
    checkpointed = kept(model, x)
    model.set_grad_checkpointing(False)
    assert plain == kept(model, x)
    assert checkpointed < (0.3 if backend == "reference" else 0.8) * plain


def test_the_stems_gate_and_the_shortcuts_are_not_kept_in_any_case(monkeypatch):
    monkeypatch.setattr(cpu, "LARGE", 0)
    model, x = network("msresnet18", "dta", 8), frames(8, static=True)
    here, ours = kept(model, x), two_steps(model, x)
    monkeypatch.setattr(cpu, "recomputed", lambda run, x, *parts: run(x))
    model = network("msresnet18", "dta", 8)
    assert here < 0.7 * kept(model, x)
    assert same(ours, two_steps(model, x))


@pytest.mark.parametrize("name", ["msresnet18", "vggsnn"])
def test_firing_is_counted_once(name):
    model, counted = network(name, "tcja", 16), []
    for enable in (True, False):
        model.set_grad_checkpointing(enable)
        with FiringMeter(model) as meter:
            out = model(frames(16))
        out.sum().backward()  # the hooks are gone, and backward must not mind
        with FiringMeter(model) as inside:
            model(frames(16)).sum().backward()
        counted.append((meter._places, meter.rates(), inside._places, inside.rates()))
    assert counted[0] == counted[1]
    assert counted[0][0] == counted[0][2]


def test_a_graph_that_is_kept_goes_backward_twice():
    model, x = network("vggsnn", "tcja", 16), frames(16)
    model.set_grad_checkpointing()
    weights = list(model.parameters())
    loss = model(x).square().sum()
    before = [b.clone() for b in model.buffers()]
    first = torch.autograd.grad(loss, weights, retain_graph=True)
    second = torch.autograd.grad(loss, weights)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


def test_buffers_are_the_same_tensors_also_after_a_failure():
    norm, calls = nn.BatchNorm2d(3), []

    def run(x: Tensor) -> Tensor:
        calls.append(norm.running_mean)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return norm(x)

    running = norm.running_mean
    out = recomputed(run, torch.randn(4, 3, 2, 2), norm)
    with pytest.raises(RuntimeError, match="out of memory"):
        out.sum().backward()
    assert calls[0] is running is norm.running_mean
    assert calls[1] is not running


def test_a_frozen_norm_stays_frozen():
    def frozen() -> SpikingNetwork:
        model = network("msresnet18", "none", 8)
        model.stages[0][0].conv1.norm.eval()
        return model

    plain, checkpointed = frozen(), frozen()
    checkpointed.set_grad_checkpointing()
    assert same(two_steps(checkpointed, frames(8)), two_steps(plain, frames(8)))
    assert int(checkpointed.stages[0][0].conv1.norm.num_batches_tracked) == 0


def test_random_numbers_are_drawn_once():
    drop, x = nn.Dropout(0.5), torch.ones(1000, requires_grad=True)
    torch.manual_seed(0)
    out = recomputed(lambda x: drop(x).square(), x, drop)
    after = torch.rand(())
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(grad, 2 * out.detach())
    torch.manual_seed(0)
    drop(x)
    assert torch.equal(after, torch.rand(()))


@pytest.mark.parametrize("case", ["evaluation", "no_grad", "hook", "global hook", "training"])
def test_where_it_runs_again(case):
    layer, calls, hooks = LIF(), [], []
    x = torch.randn(T, 5, requires_grad=True)
    if case == "evaluation":
        layer.eval()
    if case == "hook":
        hooks.append(layer.register_forward_pre_hook(lambda *_: None))
    if case == "global hook":
        hooks.append(nn.modules.module.register_module_forward_hook(lambda *_: None))
    try:
        with torch.set_grad_enabled(case != "no_grad"):
            out = recomputed(lambda x: calls.append(1) or layer(x), x, layer)
    finally:
        for hook in hooks:
            hook.remove()
    if case != "no_grad":
        out.sum().backward()
    assert len(calls) == (2 if case == "training" else 1)


def test_compiled_networks_keep_what_they_like():
    model, x = network("fashion_net", "none", 14, "reference"), frames(14)
    model.set_grad_checkpointing()
    ours = two_steps(torch.compile(model, backend="eager"), x)
    assert same(ours, two_steps(network("fashion_net", "none", 14, "reference"), x))


def test_generators_say_that_they_cannot():
    model = saccade.create_model("fsvae", width=0.1, steps=2)
    model.set_grad_checkpointing(False)
    with pytest.raises(ValueError, match="only the networks that classify"):
        model.set_grad_checkpointing()


def test_an_experiment_asks_for_it_on_the_command_line():
    assert not get_recipe("digits-dta").grad_checkpointing
    experiment = parse_train(["digits-dta", "--grad-checkpointing"]).experiment()
    assert experiment.grad_checkpointing
    info = DataInfo("digits", 10, 1, (8, 8), temporal=False, class_names=())
    small = replace(experiment, width=0.1)
    assert build_model(small, info).grad_checkpointing
    assert not build_model(replace(small, grad_checkpointing=False), info).grad_checkpointing
