"""Composite nodes against the chains of modules that they stand for."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import saccade
from saccade.chain import Chain, chain_of
from saccade.engines import cpu as cpu_engine
from saccade.engines.nodes import add_normalised, compose, multiply
from saccade.engines.record import recorded
from saccade.engines.run import choose, run_links
from saccade.models.blocks import ConvNorm
from saccade.nn import LIF
from saccade.ops.lif import cpu

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason="composite nodes need numba")

POOLS = {"none": lambda x: x, "max": lambda x: F.max_pool2d(x, 2), "average": lambda x: F.avg_pool2d(x, 2)}
#: name, attention, size of a small input, static images
NETWORKS = [
    ("msresnet18", "dta", 8, True),
    ("msresnet18", "tcja", 8, False),
    ("vggsnn", "tcja", 16, False),
    ("vggsnn_tet", "tcja", 16, False),
    ("vggsnn_tet", "none", 16, True),
    ("vggsnn_tet", "se", 16, False),
    ("dvsgesture_net", "tcja", 32, False),
    ("dvsgesture_net", "cla", 37, False),
    ("fashion_net", "tla", 14, True),
]


def worst(ours: list[Tensor], plain: list[Tensor]) -> float:
    """The largest difference, each relative to the size of what is compared."""
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(ours, plain, strict=True)]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in pairs)


def weighted(x: Tensor) -> Tensor:
    """A sum with random weights, which do not depend on how x lies in memory."""
    return (x * torch.randn(x.shape, dtype=x.dtype)).sum()


def both_ways(
    x: Tensor, steps: int, pool: str, norm: nn.Module | None, conv: nn.Conv2d | None, mean: bool, neuron: LIF
):
    """[outputs, gradients, running statistics] of the composite node and of the modules."""
    found = []
    for composed in (True, False):
        torch.manual_seed(1)
        norm_, conv_, leaf = copy.deepcopy(norm), copy.deepcopy(conv), x.clone().requires_grad_()
        if composed:
            out, means = compose(leaf, steps, neuron, norm_, pool, conv_, mean)
        else:
            spikes = neuron((leaf if norm_ is None else norm_(leaf)).unflatten(0, (steps, -1))).flatten(0, 1)
            out, means = POOLS[pool](spikes), spikes.mean((2, 3))
            out = out if conv_ is None else conv_(out)
        loss = weighted(out) + weighted(means) if mean else weighted(out)
        parameters = [p for m in (norm_, conv_) if m is not None for p in m.parameters()]
        statistics = [] if norm_ is None else [norm_.running_mean, norm_.running_var, norm_.num_batches_tracked]
        found.append([out, *torch.autograd.grad(loss, [leaf, *parameters]), *statistics])
    return found


def layers(channels: int, dtype: torch.dtype, training: bool) -> tuple[nn.BatchNorm2d, nn.Conv2d]:
    norm, conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, 4, 3, 2, 1)
    nn.init.normal_(norm.weight, 1.5)
    nn.init.normal_(norm.bias)
    return norm.to(dtype).train(training), conv.to(dtype)


@pytest.mark.parametrize(
    ("pool", "has_norm", "has_conv", "training"), list(product(POOLS, (False, True), (False, True), (False, True)))
)
def test_every_combination_in_float64(pool, has_norm, has_conv, training):
    torch.manual_seed(0)
    norm, conv = layers(5, torch.float64, training)
    x = 0.3 + torch.randn(12, 5, 7, 9, dtype=torch.float64)
    chosen = norm if has_norm else None, conv if has_conv else None
    assert worst(*both_ways(x, 6, pool, *chosen, True, LIF())) < 1e-10


@pytest.mark.parametrize("pool", list(POOLS))
def test_float32(pool):
    torch.manual_seed(0)
    norm, conv = layers(16, torch.float32, True)
    ours, plain = both_ways(0.3 + torch.randn(8, 16, 8, 8), 4, pool, norm, conv, False, LIF())
    assert worst(ours, plain) < 1e-5


@pytest.mark.parametrize("steps", [1, 64])
@pytest.mark.parametrize("surrogate", ["triangle", "atan", "sigmoid", "rectangle"])
@pytest.mark.parametrize(("reset", "detach"), list(product(("hard", "soft"), (False, True))))
def test_every_neuron(steps, surrogate, reset, detach):
    torch.manual_seed(0)
    norm, conv = layers(3, torch.float64, True)
    neuron = LIF(0.7, 0.6, 0.8, reset, surrogate, detach)
    x = torch.randn(steps * 2, 3, 4, 5, dtype=torch.float64)
    assert worst(*both_ways(x, steps, "max", norm, conv, True, neuron)) < 1e-10


@pytest.mark.parametrize("shape", [(4, 1, 6, 6), (4, 3, 2, 2), (4, 700, 2, 2), (4, 3, 66, 130)])
@pytest.mark.parametrize("view", [False, True])
def test_shapes_and_memory(shape, view):
    torch.manual_seed(0)
    norm, conv = layers(shape[1], torch.float64, True)
    x = torch.randn(*shape, dtype=torch.float64)
    x = x.transpose(2, 3).contiguous().transpose(2, 3) if view else x
    assert worst(*both_ways(x, 2, "average", norm, conv, True, LIF())) < 1e-10


def test_spikes_are_equal_to_the_last_bit():
    torch.manual_seed(0)
    x = torch.randn(6, 32, 16, 16)
    spikes, _ = compose(x, 6, LIF())
    assert torch.equal(spikes, LIF(backend="reference")(x))


def test_two_threads_give_what_one_gives():
    torch.manual_seed(0)
    norm, conv = layers(16, torch.float64, True)
    x = torch.randn(8, 16, 40, 40, dtype=torch.float64)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        ours, plain = both_ways(x, 4, "max", norm, conv, True, LIF())
    finally:
        torch.set_num_threads(before)
    assert worst(ours, plain) < 1e-10


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(6, 5, 3, 4), (4, 1, 6, 6), (2, 700, 1, 2), (4, 3, 66, 70)])
def test_a_sum_with_its_norm(shape, training):
    torch.manual_seed(0)
    norm, _ = layers(shape[1], torch.float64, training)
    y, other = torch.randn(2, *shape, dtype=torch.float64)
    found = []
    for fused in (True, False):
        torch.manual_seed(1)
        norm_, leaves = copy.deepcopy(norm), [v.clone().requires_grad_() for v in (y, other.transpose(2, 3))]
        a, b = leaves[0], leaves[1].transpose(2, 3)
        out = add_normalised(norm_, a, b) if fused else norm_(a) + b
        found.append([out, *torch.autograd.grad(weighted(out), [*leaves, *norm_.parameters()]), norm_.running_var])
    assert worst(*found) < 1e-10


@pytest.mark.parametrize("channels", [1, 5, 700])
@pytest.mark.parametrize("gate_shape", ["TBC", "T1C", "11C", "TB1"])
def test_a_product_with_a_gate(channels, gate_shape):
    torch.manual_seed(0)
    sizes = [size if letter != "1" else 1 for letter, size in zip(gate_shape, (3, 2, channels), strict=True)]
    x, gate = torch.randn(6, channels, 5, 7, dtype=torch.float64), torch.rand(*sizes, 1, 1, dtype=torch.float64)
    found = []
    for fused in (True, False):
        torch.manual_seed(1)
        a, g = x.clone().requires_grad_(), gate.clone().requires_grad_()
        out = multiply(a, g, 3) if fused else (a.unflatten(0, (3, 2)) * g).flatten(0, 1)
        found.append([out, *torch.autograd.grad(weighted(out), [a, g])])
    assert worst(*found) < 1e-10


def network(name: str, attention: str, size: int, backend: str = "auto") -> nn.Module:
    torch.manual_seed(0)
    model = saccade.create_model(
        name, attention=attention, steps=3, in_channels=2, input_size=(size, size), width=0.07, backend=backend
    ).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 2.0)  # so that neurons fire all the way to the output
            nn.init.normal_(module.bias, 0.2, 0.1)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


@pytest.mark.parametrize(("name", "attention", "size", "static"), NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_networks_in_float64(name, attention, size, static, training):
    results = []
    for backend in ("auto", "reference"):
        model = network(name, attention, size, backend).train(training)
        torch.manual_seed(1)
        x = torch.randn(*([] if static else [3]), 2, 2, size, size, dtype=torch.float64).requires_grad_()
        out = model(x)
        weighted(out).backward()
        # batch norm subtracts the mean: the gradient of a convolution's bias before it is rounding noise around 0
        noise = {key for key, _ in model.named_parameters() if training and key.endswith("conv.bias")}
        grads = [p.grad for key, p in model.named_parameters() if key not in noise and p.grad is not None]
        assert all(float(p.grad.abs().max()) < 1e-9 for key, p in model.named_parameters() if key in noise)
        results.append([out, x.grad, *grads, *(b.double() for b in model.buffers())])
    assert len(results[0]) == len(results[1])
    assert float(results[1][1].abs().max()) > 0
    assert worst(*results) < 1e-10


def layer_and_neuron(layer: nn.Module) -> Chain:
    return chain_of([("layer", layer), ("neuron", LIF())])


@pytest.mark.parametrize("batch", [1, 4])
def test_a_static_image_is_convolved_once(batch, monkeypatch):
    torch.manual_seed(0)
    once, every = (ConvNorm(3, 5).double() for _ in range(2))
    every.load_state_dict(once.state_dict())
    x = torch.randn(batch, 3, 6, 6, dtype=torch.float64)
    convolved: list[int] = []
    real = cpu_engine.convolve_frames
    monkeypatch.setattr(cpu_engine, "convolve_frames", lambda conv, y: convolved.append(len(y)) or real(conv, y))
    for _ in range(3):
        ours = run_links(layer_and_neuron(once), x.expand(4, *x.shape))
        plain = run_links(layer_and_neuron(every), x.repeat(4, 1, 1, 1, 1))
    assert convolved == [batch, 4 * batch] * 3
    weights = torch.randn_like(plain)
    (ours * weights).sum().backward()
    (plain * weights).sum().backward()
    grads = [[p.grad for key, p in layer.named_parameters() if key != "conv.bias"] for layer in (once, every)]
    assert worst([ours, *grads[0], *once.buffers()], [plain, *grads[1], *every.buffers()]) < 1e-10


def test_one_value_per_channel_shown_several_times():
    x = torch.randn(1, 3, 1, 1).expand(4, 1, 3, 1, 1)
    assert not run_links(layer_and_neuron(ConvNorm(3, 5)), x).any()


def engines(model: nn.Module, x: Tensor) -> dict[str, str]:
    """Which engine runs each link."""
    with recorded() as found:
        model(x)
    return {link.name: ran.engine for ran in found for link in ran.links}


def test_a_hook_sends_its_own_links_to_the_modules_and_no_others():
    model, x = network("dvsgesture_net", "tcja", 32), torch.randn(3, 1, 2, 32, 32, dtype=torch.float64)
    before = engines(model, x)
    assert {before[f"convs.{i}"] for i in range(5)} == {"cpu"}
    seen = []
    hook = model.neurons[1].register_forward_hook(lambda module, arguments, out: seen.append(out.shape))
    hooked = engines(model, x)
    hook.remove()
    assert len(seen) == 1
    assert {name for name in before if hooked[name] != before[name]} <= {"neurons.1", "convs.1"}
    assert hooked["neurons.1"] == "reference"
    assert engines(model, x) == before


@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_one_argument_asks_for_the_modules(backend):
    x = torch.randn(3, 1, 2, 32, 32, dtype=torch.float64)
    chain = network("dvsgesture_net", "tcja", 32, backend).chain
    assert choose(chain, 1, x) == (None, 2)
    chain = network("dvsgesture_net", "tcja", 32).chain
    assert choose(chain, 1, x)[0] is cpu_engine
    with torch.autocast("cpu"):
        assert choose(chain, 1, x) == (None, 2)


@pytest.mark.parametrize("steps", [1, 3])
def test_little_work_is_trained_by_the_modules(monkeypatch, steps):
    """Where a node costs more than it saves; a neuron's backend can insist."""
    monkeypatch.setattr(cpu_engine, "FEW_STEPS", 1 << 15)
    model = saccade.create_model("msresnet18", width=0.0625, steps=steps)
    x = torch.randn(2, 3, 16, 16)
    assert set(engines(model, x).values()) == {"reference"}
    reasons = {row.reason for row in saccade.explain(model, x) if row.kind == "residual"}
    assert reasons == {"so little work is trained faster module by module"}
    assert engines(model.eval(), x)["stages.0.0"] == "cpu"
    assert engines(model.train(), torch.randn(64, 3, 32, 32))["stages.0.0"] == "cpu"
    insists = saccade.create_model("msresnet18", width=0.0625, steps=steps, backend="cpu")
    assert engines(insists, x)["stages.0.0"] == "cpu"


def test_without_numba_the_modules_run(monkeypatch):
    x = torch.randn(3, 2, 2, 32, 32, dtype=torch.float64)
    expected = network("dvsgesture_net", "tcja", 32)(x)
    monkeypatch.setattr(cpu, "unavailable", lambda: "numba is not installed")
    model = network("dvsgesture_net", "tcja", 32)
    assert set(engines(model, x).values()) == {"reference"}
    assert worst([model(x)], [expected]) < 1e-10


def test_frozen_layers():
    """Nothing is computed for what needs no gradient, and the rest is right."""
    torch.manual_seed(0)
    norm, conv = layers(4, torch.float64, True)
    x = torch.randn(4, 4, 4, 4, dtype=torch.float64)
    conv.weight.requires_grad_(False)
    norm.requires_grad_(False)
    out, _ = compose(x, 2, LIF(), norm, "max", conv)
    (gradient,) = torch.autograd.grad(out.sum(), conv.bias)
    assert torch.allclose(gradient, torch.full_like(gradient, out.numel() / out.shape[1]))
