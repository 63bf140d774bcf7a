"""Gating spikes in one Triton kernel: equal to the product written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from saccade.ops.gate import gate
from saccade.ops.lif import triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(triton.unavailable() is not None, reason=str(triton.unavailable()))


def channels_last(x: Tensor) -> Tensor:
    return x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, x.shape[:2])


def inputs(shape: tuple[int, ...], kind: str, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    spikes, a, b, grad = (torch.randn(shape, generator=generator) for _ in range(4))
    spikes = (spikes > 0.3).float()
    scores = {"plane": [a[..., :1, :1]], "one": [a], "two": [a, b]}[kind]
    return [t.to(DEVICE, dtype) for t in (grad, spikes, *scores)]


def run(backend: str, grad: Tensor, *tensors: Tensor) -> list[Tensor]:
    leaves = [t.detach().requires_grad_() for t in tensors]
    y = gate(*leaves, backend=backend)
    return [y.detach(), *torch.autograd.grad(y, leaves, grad)]


@pytest.mark.parametrize("arrange", [lambda x: x, channels_last], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", ["plane", "one", "two"])
@pytest.mark.parametrize("shape", [(3, 2, 5, 3, 7), (1, 1, 1, 1, 1), (2, 1, 40, 5, 5)])
def test_equals_the_product_written_out(shape: tuple[int, ...], kind: str, arrange: Any) -> None:
    grad, spikes, *scores = inputs(shape, kind)
    tensors = [arrange(grad), arrange(spikes), *scores]
    for ours, theirs in zip(run("triton", *tensors), run("reference", *tensors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["plane", "two"])
def test_half_precision_is_float32_inside(kind: str, dtype: torch.dtype) -> None:
    tensors = inputs((2, 2, 5, 3, 3), kind, dtype)
    for ours, theirs in zip(run("triton", *tensors), run("reference", *(t.float() for t in tensors)), strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.float(), theirs, rtol=2e-2, atol=1e-2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own
@pytest.mark.parametrize("kind", ["plane", "one", "two"])
def test_is_a_torch_operator(kind: str) -> None:
    _, *tensors = inputs((2, 1, 3, 2, 2), kind)
    leaves = [t.requires_grad_() for t in tensors]
    torch.library.opcheck(torch.ops.saccade.gate, (*leaves, None) if kind != "two" else tuple(leaves))


def test_errors() -> None:
    spikes = torch.zeros(2, 3, 4, 5, 6, device=DEVICE)
    with pytest.raises(ValueError, match=r"one score \[T, B, C, 1, 1\], but got \[2, 3, 4, 5, 6\] and \[4\]"):
        gate(spikes, torch.zeros(4, device=DEVICE))
    with pytest.raises(ValueError, match=r"second factor in the spikes' shape"):
        gate(spikes, spikes, spikes[:1])
    with pytest.raises(ValueError, match="Did you mean 'triton'"):
        gate(spikes, spikes, backend="tritan")
    with pytest.raises(ValueError, match=r"gate in Triton cannot run here: the input is torch.float64"):
        gate(spikes.double(), spikes.double(), backend="triton")
