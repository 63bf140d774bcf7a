"""What every LIF kernel must do: fire as the reference fires, bit for bit, or refuse in words."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from saccade.nn.neuron import LIF, PUBLISHED_NEURONS
from saccade.ops import LIFSpec, Surrogate, lif
from saccade.ops.lif import BACKENDS

RESETS = [LIFSpec(0.7, *kind) for kind in itertools.product(("hard", "soft"), (True, False))]
SPECS = [
    *RESETS,
    *(replace(spec, inclusive=True) for spec in RESETS),
    *(LIFSpec(0.7, surrogate=Surrogate(kind, 0.8)) for kind in ("atan", "sigmoid", "rectangle")),
    *(LIF.published(name).spec for name in PUBLISHED_NEURONS),
]
SHAPES = {"sequence": (5, 3, 17), "frames": (4, 2, 3, 5, 4), "one of each": (1, 1, 1, 1, 1), "one step": (1, 3, 7)}
every_kernel = pytest.mark.parametrize("name", [name for name in BACKENDS if name != "reference"])


@pytest.fixture(autouse=True)
def _runs_here(name):
    why = BACKENDS[name].unavailable()
    if why is not None:
        pytest.skip(why)


def on(name: str, *shape: int, seed: int = 0) -> torch.Tensor:
    """Multiples of 1/8 on the kernel's device, so that potentials meet the threshold exactly."""
    device = BACKENDS[name].device if torch.cuda.is_available() else None
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-8, 16, shape, generator=draw).div(8).to(device)


def run(backend: str, x: torch.Tensor, spec: LIFSpec, learned: bool) -> list[torch.Tensor]:
    x = x.detach().requires_grad_()
    constants = [torch.tensor(value, device=x.device, requires_grad=True) for value in (0.5, 0.7)]
    spikes = lif(x, *(constants if learned else (0.5, 0.7)), spec, backend)
    weights = on("reference", *x.shape, seed=1).to(x.device)
    return [spikes.detach(), *torch.autograd.grad((spikes * weights).sum(), [x, *constants] if learned else [x])]


def assert_equal(name: str, x: torch.Tensor, spec: LIFSpec, learned: bool = False) -> None:
    ours, theirs = (run(backend, x, spec, learned) for backend in (name, "reference"))
    assert torch.equal(ours[0], theirs[0])
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=str)
@every_kernel
def test_it_fires_as_the_reference_or_refuses(name, spec, learned):
    x = on(name, *SHAPES["sequence"])
    refusal = BACKENDS[name].unsupported(x, 0.5, 0.7, spec)
    if refusal is None:
        return assert_equal(name, x, spec, learned)
    with pytest.raises(ValueError, match=f"LIF backend '{name}' cannot run here"):
        lif(x, 0.5, 0.7, spec, name)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@every_kernel
def test_sizes(name, shape):
    assert_equal(name, on(name, *shape), LIFSpec(0.7))


@every_kernel
def test_layouts(name):
    x = on(name, 4, 2, 3, 5, 4)
    layouts = [
        x.transpose(0, 1).contiguous().transpose(0, 1),
        x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 2)),
        x[:1].expand_as(x),
        x.repeat_interleave(2, 4)[..., ::2],
    ]
    for layout in layouts:
        assert not layout.is_contiguous()
        assert_equal(name, layout, LIFSpec(0.7))


@pytest.mark.filterwarnings("ignore:invalid value")  # of the interpreter of Triton
@every_kernel
def test_not_a_number_fires_where_the_reference_does(name):
    x = on(name, 3, 2, 4)
    x[0, 0], x[1, 1], x[2, 0, 0] = float("nan"), float("inf"), float("-inf")
    ours, theirs = (lif(x, 0.5, 0.7, LIFSpec(0.7), backend) for backend in (name, "reference"))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["reference"])
def test_what_kernels_are_compared_with_spikes(name):
    """The inputs above leave no neuron silent and none always firing."""
    spikes = lif(on(name, *SHAPES["sequence"]), 0.5, 0.7, LIFSpec(0.7), name)
    assert 0.1 < spikes.mean() < 0.9
