"""Networks that a function builds, under a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

import saccade
from saccade.models import model_options, recreate_model, register_model, registry
from saccade.nn.attention import NoAttention
from saccade.probe import measure_energy, relu_twin
from saccade.recipes import Experiment
from saccade.train.build import check_names

NAMES = ("written_gated", "written_plain", "written_fixed", "written_wrong")


def layers(in_channels: int, num_classes: int, gate: nn.Module | None) -> list[nn.Module]:
    gates = [] if gate is None else [gate]
    conv, norm = nn.Conv2d(in_channels, 6, 3, bias=False), nn.BatchNorm2d(6)
    return [conv, norm, saccade.LIF(), *gates, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, num_classes)]


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    @register_model("written_gated")
    def gated(*, num_classes: int, steps: int, in_channels: int, kernel: int = 3) -> saccade.Sequential:
        gate = saccade.create_attention("tcja", channels=6, steps=steps, kernel_time=kernel)
        return saccade.Sequential(*layers(in_channels, num_classes, gate), steps=steps, in_channels=in_channels)

    @register_model("written_plain", {"num_classes": 3})
    def plain(*, num_classes: int, steps: int, in_channels: int, attention: str = "none") -> saccade.Sequential:
        gate = None if attention == "none" else saccade.create_attention(attention, channels=6, steps=steps)
        return saccade.Sequential(*layers(in_channels, num_classes, gate), steps=steps, in_channels=in_channels)

    @register_model("written_fixed")
    def fixed(*, steps: int) -> saccade.Sequential:
        return saccade.Sequential(*layers(2, 5, None), steps=steps, in_channels=2)

    @register_model("written_wrong")  # type: ignore[type-var]
    def wrong(*, steps: int) -> nn.Module:
        return nn.Identity()

    yield
    for name in NAMES:
        del registry._REGISTRY[name]


def gates(model: nn.Module) -> list[str]:
    assert isinstance(model, saccade.Sequential)
    return [type(gate).__name__ for gate in model.attention_modules().values()]


@pytest.mark.parametrize(("attention", "found"), [("own", "TCJA"), ("none", "NoAttention"), ("dta", "DTA")])
def test_attention_is_its_own_or_takes_that_ones_place(attention: str, found: str) -> None:
    options = {"num_classes": 4, "steps": 3, "in_channels": 2}
    model = saccade.create_model("written_gated", attention=attention, **options)
    assert gates(model) == [found]
    assert model(torch.rand(3, 2, 2, 9, 9)).shape == (3, 2, 4)
    check_names(Experiment(recipe="r", model="written_gated", data="digits", attention=attention))
    again = recreate_model(model.created_with)
    assert gates(again) == [found]
    again.load_state_dict(model.state_dict())


def test_options_are_those_of_the_function_and_of_every_network() -> None:
    assert {"kernel", "num_classes", "steps", "in_channels", "attention", "attention_at", "backend"} <= set(
        model_options("written_gated")
    )
    model = saccade.create_model("written_gated", num_classes=4, steps=3, in_channels=2, kernel=2, backend="reference")
    assert model.get_submodule("3.conv_time").kernel_size == (2,)
    assert {m.backend for m in model.modules() if isinstance(m, saccade.LIF)} == {"reference"}
    assert saccade.create_model("written_plain", steps=2, in_channels=1).num_classes == 3
    assert gates(saccade.create_model("written_plain", steps=2, in_channels=1, attention="tla")) == ["TLA"]
    at = saccade.create_model(
        "written_fixed", steps=2, num_classes=5, in_channels=2, attention="tla", attention_at="all"
    )
    assert gates(at) == ["TLA"]
    own = saccade.create_model("msresnet18", width=0.05, attention="own")
    assert all(isinstance(gate, NoAttention) for gate in own.attention_modules().values())


def test_mistakes_are_said() -> None:
    with pytest.raises(ValueError, match=r"takes no width, but width=0.5"):
        saccade.create_model("written_fixed", steps=2, width=0.5)
    with pytest.raises(ValueError, match=r"fixed built a network with num_classes=5, but num_classes=10 is needed"):
        saccade.create_model("written_fixed", steps=2, num_classes=10)
    with pytest.raises(ValueError, match=r"has to return a saccade.Sequential or another Classifier, not Identity"):
        saccade.create_model("written_wrong", steps=2)
    with pytest.raises(ValueError, match=r"Unknown option 'kernels' of model 'written_gated'. Did you mean 'kernel'"):
        saccade.create_model("written_gated", kernels=2)


def test_gates_of_a_list_are_replaced_and_left_out_of_the_twin_without_spikes() -> None:
    torch.manual_seed(0)
    gate = saccade.create_attention("dta", channels=6, steps=3)
    model = saccade.Sequential(*layers(2, 4, gate), steps=3, in_channels=2)
    x = torch.rand(3, 2, 2, 9, 9)
    assert relu_twin(model)(x.mean(0)).shape == (1, 2, 4)
    assert measure_energy(model, x).relu_energy_mj() > 0
    for name in ("none", "tla", "dta"):
        model.put_gates(name, "all")
        assert [type(g) for g in model.attention_modules().values()] == [type(saccade.create_attention(name, 6, 3))]
        assert model(x).shape == (3, 2, 4)
