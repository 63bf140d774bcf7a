"""Batch norm and LIF in one Triton kernel: equal to the reference, and to torch's batch norm before our LIF."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saccade.ops import LIFSpec, Surrogate, lif
from saccade.ops.lif import triton
from saccade.ops.norm_lif import norm_lif

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(triton.unavailable() is not None, reason=str(triton.unavailable()))
SPEC = LIFSpec(0.7)


def norm_of(channels: int, training: bool, dtype: torch.dtype = torch.float32) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels).to(DEVICE, dtype).train(training)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(0.5 + torch.rand(channels, generator=generator))
    return norm


def unfused(x: Tensor, norm: nn.BatchNorm2d, decay: float, gain: float, spec: LIFSpec) -> Tensor:
    return lif(norm(x.flatten(0, 1)).unflatten(0, x.shape[:2]), decay, gain, spec, "reference")


def run(function: Any, x: Tensor, grad: Tensor, norm: nn.BatchNorm2d, spec: LIFSpec) -> list[Tensor]:
    x, norm = x.detach().requires_grad_(), copy.deepcopy(norm)
    spikes = function(x, norm, 0.8, 0.9, spec)
    found = [spikes.detach(), *torch.autograd.grad(spikes, [x, norm.weight, norm.bias], grad)]
    return [*found, norm.running_mean, norm.running_var]


def fused(backend: str) -> Any:
    return lambda *arguments: norm_lif(*arguments, backend=backend)


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(shape, generator=generator) for _ in range(2))
    return (2 * x + 3).to(DEVICE, dtype), grad.to(DEVICE, dtype)


def channels_last(x: Tensor) -> Tensor:
    return x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, x.shape[:2])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("arrange", "shape"),
    [
        (lambda x: x, (3, 2, 5, 3, 7)),
        (lambda x: x, (1, 1, 1, 1, 3)),
        (channels_last, (3, 2, 5, 3, 7)),
        (channels_last, (6, 2, 70, 2, 2)),
    ],
    ids=["channels first", "one channel", "channels last", "many channels last"],
)
def test_equals_the_reference(shape: tuple[int, ...], arrange: Any, training: bool) -> None:
    x, grad = draw(*shape)
    norm = norm_of(shape[2], training)
    ours, theirs = (run(fused(b), arrange(x), grad, norm, SPEC) for b in ("triton", "reference"))
    assert torch.equal(ours[0], theirs[0])
    assert ours[0].stride() == arrange(x).stride()
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("kind", ["triangle", "atan", "sigmoid", "rectangle"])
def test_every_neuron(kind: str, reset: str) -> None:
    x, grad = draw(4, 2, 3, 3, 3)
    spec = LIFSpec(0.7, reset, kind == "atan", Surrogate(kind, 0.9))
    ours, theirs = (run(fused(b), channels_last(x), grad, norm_of(3, True), spec) for b in ("triton", "reference"))
    assert torch.equal(ours[0], theirs[0])
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_float32_inside(dtype: torch.dtype) -> None:
    x, grad = draw(4, 2, 5, 3, 3, dtype=dtype)
    ours = run(fused("triton"), x, grad, norm_of(5, True), SPEC)
    theirs = run(fused("reference"), x.float(), grad.float(), norm_of(5, True), SPEC)
    assert torch.equal(ours[0].float(), theirs[0])
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(a.float(), b, rtol=4e-2, atol=2e-2)


@pytest.mark.parametrize("training", [True, False])
def test_the_reference_is_batch_norm_and_lif(training: bool) -> None:
    x, grad = (tensor.double() for tensor in draw(3, 2, 5, 3, 7))
    norm = norm_of(5, training, torch.double)
    ours, theirs = (run(f, x, grad, norm, SPEC) for f in (fused("reference"), unfused))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own
def test_is_a_torch_operator() -> None:
    x = draw(2, 2, 3, 2, 2)[0].requires_grad_()
    tensors = [torch.rand(3, device=DEVICE, requires_grad=i < 2) for i in range(4)]
    arguments = (x, *tensors, True, 0.8, 0.9, *triton.flat_spec(SPEC))
    torch.library.opcheck(torch.ops.saccade.norm_lif, arguments)


def test_errors() -> None:
    norm = norm_of(3, True)
    with pytest.raises(ValueError, match=r"takes \[T, B, 3, H, W\], but got \[2, 2, 4, 1, 1\]"):
        norm_lif(torch.zeros(2, 2, 4, 1, 1, device=DEVICE), norm, 0.5, 1.0, SPEC)
    with pytest.raises(ValueError, match=r"norm_lif backend 'triton' cannot run here: the input is torch.float64"):
        norm_lif(torch.zeros(2, 2, 3, 1, 1, device=DEVICE).double(), norm, 0.5, 1.0, SPEC, "triton")
