"""`resize_steps`, for every registered attention: what changes, what does not, and how close the gate stays."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from saccade.nn.attention import Attention, attention_class, attention_options, create_attention, list_attention
from saccade.nn.attention.contract import resample
from saccade.nn.neuron import Neuron

NAMES = list_attention()
FIXED = [name for name in NAMES if attention_class(name).fixed_steps]
FREE = [name for name in NAMES if not attention_class(name).fixed_steps]


def goes_along_time(name: str) -> bool:
    """Whether a module convolves along time or fires: its borders break what is constant in time."""
    fires = any(isinstance(module, Neuron) for module in create_attention(name, 6, 4).modules())
    return fires or "kernel_time" in attention_options(name)


ALONG_TIME = [name for name in NAMES if goes_along_time(name)]

every_module = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(name: str, steps: int = 4, channels: int = 6) -> Attention:
    return create_attention(name, channels=channels, steps=steps, placement="spikes").double()


def still(steps: int) -> Tensor:
    """A source that is constant in time, positive so that no ReLU hides behind zero."""
    frame = torch.rand(1, 2, 6, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return frame.expand(steps, -1, -1, -1, -1)


def gate_of(module: Attention, source: Tensor) -> Tensor:
    return module.gate(source, source).detach().expand(source.shape)


@every_module
def test_same_steps_changes_nothing(name: str) -> None:
    module = build(name)
    before = dict(module.named_parameters())
    values = copy.deepcopy(module.state_dict())
    assert module.resize_steps(4) is module
    assert all(parameter is before[key] for key, parameter in module.named_parameters())
    assert all(torch.equal(value, values[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 16])
@every_module
def test_takes_the_new_steps_and_refuses_the_old(name: str, steps: int) -> None:
    module = build(name)
    assert module.resize_steps(steps) is module
    assert module.steps == steps
    x = torch.randn(steps, 2, 6, 5, 3, dtype=torch.float64, requires_grad=True)
    y = module(x, x)
    assert y.shape == x.shape
    y.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    if name in FIXED:
        with pytest.raises(ValueError, match=f"built for steps={steps} but the input has 4 steps"):
            module(x[:1].expand(4, -1, -1, -1, -1), x[:1].expand(4, -1, -1, -1, -1))
    assert all(part.steps == steps for part in module.modules() if isinstance(part, Attention))


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("channels", [1, 6])
@every_module
def test_layers_describe_their_weights(name: str, channels: int, steps: int) -> None:
    """The sizes that layers print (and exporters read) are those of the resized weights."""
    module = build(name, channels=channels, steps=1 if steps > 1 else 5).resize_steps(steps)
    x = torch.randn(steps, 2, channels, 4, 4, dtype=torch.float64)
    assert module(x, x).shape == x.shape
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.shape == (layer.out_features, layer.in_features)
        if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
            assert layer.weight.shape[:2] == (layer.out_channels, layer.in_channels // layer.groups)
            assert layer.bias is None or layer.bias.shape == (layer.out_channels,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@every_module
def test_dtype_and_frozen_weights_stay(name: str, dtype: torch.dtype) -> None:
    module = create_attention(name, channels=6, steps=4).to(dtype).eval()
    frozen = {key for i, key in enumerate(dict(module.named_parameters())) if i % 2 == 0}
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key not in frozen)
    module.resize_steps(7)
    assert not module.training
    for key, parameter in module.named_parameters():
        assert isinstance(parameter, nn.Parameter)
        assert parameter.is_leaf
        assert parameter.is_contiguous()
        assert parameter.dtype == dtype, key
        assert parameter.requires_grad == (key not in frozen), key


@pytest.mark.parametrize("name", FREE)
def test_weights_without_time_stay(name: str) -> None:
    module = build(name)
    values = copy.deepcopy(module.state_dict())
    module.resize_steps(9)
    assert all(torch.equal(value, values[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("steps", [2, 3, 10])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALONG_TIME])
def test_one_step_becomes_many_equal_ones(name: str, steps: int) -> None:
    """From T=1 there is one way to grow: a constant source meets the old gate at every step, to rounding."""
    module = build(name, steps=1)
    for parameter in module.parameters():
        parameter.data.abs_().mul_(0.3)  # a closed ReLU would make both sides equal for nothing
    old = gate_of(module, still(1))
    new = gate_of(module.resize_steps(steps), still(steps))
    torch.testing.assert_close(new, old.expand_as(new), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [(4, 8), (4, 7), (8, 4), (10, 4), (8, 2), (6, 5)])
@pytest.mark.parametrize("name", ["cla", "ta", "gac"])
def test_score_of_a_still_source_is_resampled_exactly(name: str, old: int, new: int) -> None:
    """Where the score is linear in the time-indexed output weights, it is resampled as they are, to rounding."""
    module = build(name, steps=old)
    expected = resample(gate_of(module, still(old)).logit(), 0, new)
    score = gate_of(module.resize_steps(new), still(new)).logit()
    torch.testing.assert_close(score, expected.data, rtol=0, atol=1e-9)


#: largest change of the time-averaged gate of a still source: the worst of 20 seeds (0.0090, 0.0070, 0.0014) rounded up
DRIFT = {"tca": 0.01, "tcsa": 0.01, "tna": 0.002}


@pytest.mark.parametrize(("old", "new"), [(4, 8), (4, 6), (8, 4), (10, 4), (8, 2)])
@pytest.mark.parametrize("name", DRIFT)
def test_gate_of_a_still_source_stays_close(name: str, old: int, new: int) -> None:
    module = build(name, steps=old)
    before = gate_of(module, still(old)).mean(0)
    after = gate_of(module.resize_steps(new), still(new)).mean(0)
    torch.testing.assert_close(after, before, rtol=0, atol=DRIFT[name])


@pytest.mark.parametrize("name", FREE)
def test_free_modules_do_not_notice_more_of_the_same(name: str) -> None:
    module = build(name)
    before, after = (gate_of(module, still(steps)) for steps in (12, 24))
    torch.testing.assert_close(after[6], before[6], rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [0, -3, 2.0, True])
@every_module
def test_steps_that_make_no_sense(name: str, steps: int) -> None:
    with pytest.raises(
        ValueError, match=f"^{attention_class(name).__name__}: steps must be a positive integer, not {steps}.$"
    ):
        build(name).resize_steps(steps)


# --- resample itself


@pytest.mark.parametrize(("old", "new"), [(8, 2), (6, 4), (10, 16), (4, 8), (16, 10), (1, 4), (20, 5), (7, 7)])
def test_resample_keeps_sums_and_constants(old: int, new: int) -> None:
    weight = torch.randn(3, old, 2, dtype=torch.float64)
    summed = resample(weight, 1, new, summed=True)
    assert summed.shape == (3, new, 2)
    torch.testing.assert_close(summed.sum(1), weight.sum(1), rtol=0, atol=1e-12)
    constant = resample(torch.full((old,), 0.3, dtype=torch.float64), 0, new)
    torch.testing.assert_close(constant.data, torch.full((new,), 0.3, dtype=torch.float64), rtol=0, atol=1e-12)


def test_resample_by_hand() -> None:
    weight = torch.tensor([1.0, 3.0, 5.0, 7.0])
    assert resample(weight, 0, 2).tolist() == [2, 6]
    assert resample(weight, 0, 2, summed=True).tolist() == [4, 12]
    assert resample(weight[:2], 0, 4).tolist() == [1, 1.5, 2.5, 3]
    assert resample(weight[:2], 0, 4, summed=True).tolist() == [0.5, 0.5, 1.5, 1.5]
    assert resample(weight[:2], 0, 3, summed=True).tolist() == pytest.approx([2 / 3, 4 / 3, 2])


def test_resample_loses_no_step() -> None:
    """Every old step counts in the new weights, however few these are."""
    for old, new in pairwise((16, 7, 3, 1)):
        one_hot = torch.eye(old, dtype=torch.float64)
        for summed in (True, False):
            assert (resample(one_hot, 1, new, summed=summed).sum(1) > 0).all()
