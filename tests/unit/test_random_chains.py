"""Every engine equals the reference, in float64, on random chains.

`SACCADE_EXAMPLES=20000 pytest tests/unit/test_random_chains.py` and `benchmarks/random_chains.py` look longer. Where an
engine and the reference differ, the reference is compared with itself on an input moved by 1e-14: gradients through a
channel whose variance is rounding noise, or past a tie of two maxima, are not defined better than that.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import saccade
from random_chains import Draw, Drawn
from saccade.engines.record import recorded
from saccade.engines.streaming import gates_over_time
from saccade.ops.lif import cpu

EXAMPLES = int(os.environ.get("SACCADE_EXAMPLES", "500"))
TOLERANCE = 1e-9
pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason=str(cpu.unavailable()))

Numbers = dict[str, Tensor]


def by_modules(net: nn.Module) -> nn.Module:
    """A copy that the reference runs."""
    twin = copy.deepcopy(net)
    for module in twin.modules():
        if isinstance(module, saccade.LIF):
            module.backend = "reference"
    return twin


def learn(net: nn.Module, x: Tensor) -> Numbers:
    """Output, gradients and buffers of a step of training."""
    leaf = x.detach().requires_grad_()
    out = net(leaf)
    (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
    grads = {f"grad of {k}": torch.zeros_like(p) if p.grad is None else p.grad for k, p in net.named_parameters()}
    assert leaf.grad is not None
    return {"out": out.detach(), "grad of x": leaf.grad, **grads, **{k: b.double() for k, b in net.named_buffers()}}


def differing(ours: Numbers, theirs: Numbers, tolerance: float = TOLERANCE) -> dict[str, float]:
    """What differs by more than `tolerance` of the largest gradient (or of its own size, where it is none)."""
    largest = max(float(value.abs().max()) for key, value in theirs.items() if key.startswith("grad"))
    found = {}
    for key, value in theirs.items():
        size = largest if key.startswith("grad") else max(1.0, float(value.abs().max()))
        error = float((ours[key] - value).abs().max()) / max(size, 1e-12)
        if not error <= tolerance:
            found[key] = error
    return found


def refused(run: Callable[[], object]) -> str | None:
    """The first words of the ValueError or RuntimeError, or None."""
    try:
        run()
    except (ValueError, RuntimeError) as error:
        return type(error).__name__
    return None


def check_training(drawn: Drawn) -> None:
    net, x = drawn.net.train(), drawn.x
    if refused(lambda: by_modules(net)(x)):
        assert refused(lambda: copy.deepcopy(net)(x)), "the reference refuses what an engine takes"
        return
    expected = learn(by_modules(net), x)
    for way in ("fused", "checkpointed"):
        twin = copy.deepcopy(net)
        twin.set_grad_checkpointing(way == "checkpointed")
        wrong = differing(learn(twin, x), expected)
        if wrong:
            moved = learn(by_modules(net), x * (1 + 1e-14 * torch.randn_like(x)))
            conditioned = differing(moved, expected, 0.0)
            assert all(error < 100 * conditioned.get(key, 0.0) for key, error in wrong.items()), (way, wrong)


def check_hooks(drawn: Drawn) -> None:
    called: list[nn.Module] = []
    handles = [m.register_forward_hook(lambda m, i, o: called.append(m)) for m in drawn.hooked]
    with torch.no_grad():
        by_modules_too = by_modules(drawn.net)  # the copies' hooks append the copies
        before = len(called)
        by_modules_too(drawn.x)
        expected = len(called) - before
        drawn.net(drawn.x)
    assert len(called) - before - expected == expected
    for handle in handles:
        handle.remove()


def check_inference(drawn: Drawn) -> None:
    net, x = drawn.net.eval(), drawn.x
    with torch.no_grad():
        expected = by_modules(net)(x)
        scale = max(1.0, float(expected.abs().max()))
        for name, run in {"fused": net, "deployed": saccade.deploy(net)}.items():
            kept = x.clone()
            error = float((run(x) - expected).abs().max()) / scale
            assert error < TOLERANCE, (name, error)
            assert torch.equal(x, kept), f"{name} wrote over its input"
        whole = any(isinstance(m, nn.BatchNorm2d) and m.running_mean is None for m in net.modules())
        if not gates_over_time(net) and not whole:
            for name, run in {"streamed": net, "streamed, deployed": saccade.deploy(net)}.items():
                stream = saccade.stream(run)
                steps = torch.stack([stream.step(x_t) for x_t in net.as_sequence(x)])
                assert float((steps - expected).abs().max()) / scale < TOLERANCE, name


def check(seed: int) -> None:
    """A random network in training, with hooks and in inference, on every engine."""
    drawn = Draw(seed).network()
    check_training(Drawn(copy.deepcopy(drawn.net), drawn.x, []))
    if refused(lambda: by_modules(drawn.net.eval())(drawn.x)):
        return
    check_hooks(Drawn(drawn.net.eval(), drawn.x, drawn.hooked))
    check_inference(drawn)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**31))
@example(4428)  # frames one pixel wide before a norm that no engine takes
def test_every_engine_equals_the_reference(seed: int) -> None:
    check(seed)


def test_the_networks_are_not_trivial() -> None:
    """Most are fused at least in part, and fire."""
    engines, firing = 0, 0
    for seed in range(40):
        drawn = Draw(seed).network()
        if refused(lambda: drawn.net.train()(drawn.x)):  # noqa: B023
            continue
        with recorded() as found, torch.no_grad():
            out = drawn.net(drawn.x)
        engines += any(ran.engine == "cpu" for ran in found)
        firing += bool(out.std() > 1e-6)
    assert engines > 25
    assert firing > 25
