"""What every gate, neuron and product of self attention gets wherever it stands: engines, deployment, streams, energy.

Each is found by its registry or its base class, and put into one small network.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch
from test_uses import EXACT, assert_same, trained_step
from torch import Tensor, nn

import saccade
from saccade.nn.neuron import Neuron
from saccade.nn.self_attention import FiredGate, SpikingSelfAttention, TokenProduct
from saccade.probe import count_operations, measure_firing

T, B, C, H, K = 3, 2, 8, 6, 4
#: what constructors ask for
SIZES = {"channels": C, "shape": (C, H, H), "heads": 2, "tokens": H * H, "steps": T}


def below(base: type) -> Iterator[type]:
    """The classes of the package that are derived from one, itself not."""
    for cls in base.__subclasses__():
        if cls.__module__.startswith("saccade."):
            yield cls
            yield from below(cls)


NEURONS = list(below(Neuron))
PRODUCTS = [cls for cls in below(TokenProduct) if cls is not FiredGate]


def build(cls: type) -> nn.Module:
    """A module of the sizes of this file; a KeyError here asks for a size that SIZES does not have."""
    parameters = inspect.signature(cls).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return cls(**{p.name: SIZES[p.name] for p in named if p.default is p.empty or p.name == "heads"})


def network(middle: nn.Module, parts: int = 1, backend: str = "auto") -> tuple[saccade.Sequential, Tensor]:
    """conv - BN - LIF - [middle] - conv - BN - LIF - mean - linear, in float64, and frames for it."""
    modules = (
        nn.Conv2d(2, parts * C, 3, padding=1), nn.BatchNorm2d(parts * C), saccade.LIF(backend=backend), middle,
        nn.Conv2d(C, C, 3, padding=1), nn.BatchNorm2d(C), saccade.LIF(backend=backend),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(C * H * H // 4, K),
    )  # fmt: skip
    net = saccade.Sequential(*modules, steps=T, in_channels=2).double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 0.5)
    x = torch.rand(T, B, 2, H, H, dtype=torch.float64).mul(3).floor()
    return net, x


def middle_of(kind: str, name: str | type) -> tuple[nn.Module, int]:
    torch.manual_seed(0)
    if kind == "gate":
        assert isinstance(name, str)
        return saccade.create_attention(name, C, T), 1
    assert isinstance(name, type)
    module = build(name)
    return module, getattr(module, "parts", 1)


CASES = [
    *(pytest.param("gate", name, id=name) for name in saccade.list_attention()),
    *(pytest.param("neuron", cls, id=cls.__name__) for cls in NEURONS),
    *(pytest.param("product", cls, id=cls.__name__) for cls in PRODUCTS),
]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_engines_give_the_numbers_of_the_modules(kind, name):
    expected = trained_step(*network(*middle_of(kind, name), backend="reference"))
    assert expected["gradient of x"].any()
    assert_same(trained_step(*network(*middle_of(kind, name))), expected)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_deployed_streamed_and_counted(kind, name):
    model, x = network(*middle_of(kind, name))
    with torch.no_grad():
        model(x)
        expected = model.eval()(x)
        torch.testing.assert_close(saccade.deploy(model)(x), expected, **EXACT)
        if any(getattr(module, "looks_at_steps", "own") == "all" for module in model.modules()):
            with pytest.raises(ValueError, match=r"cannot be computed step by step|cannot know whether it looks"):
                saccade.stream(model).step(x[0])
        else:
            stream = saccade.stream(model)
            torch.testing.assert_close(torch.stack([stream.step(x_t) for x_t in x]), expected, **EXACT)
    count = count_operations(model, x)
    assert count.not_counted == {}
    assert len(count.self_attention) == (kind == "product")
    fired = {layer.layer for layer in measure_firing(model, [x])}
    assert {"2", "6"} <= fired
    assert ("3" in fired) == (kind == "neuron")


def test_nothing_is_left_out():
    assert {saccade.LIF, saccade.nn.SCTFALIF, saccade.nn.InitialLIF} <= set(NEURONS)
    assert SpikingSelfAttention in PRODUCTS
