"""Winograd's convolution against the direct sum."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.ops.lif import cpu
from saccade.ops.winograd import SAME, Convolution, Geometry, PackedConv, conv, convolve, convolve_back, met, suits

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason="the transforms are compiled by numba")


def relative(a: Tensor, b: Tensor) -> float:
    a, b = a.detach(), b.detach()
    return float((a.double() - b.double()).abs().max() / b.double().abs().mean())


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 9, 8), (2, 16, 6, 7), (40, 20, 16, 16), (1, 8, 70, 3)])
@pytest.mark.parametrize(("outputs", "biased"), list(product((1, 7, 24), (False, True))))
def test_the_algebra_in_float64(shape, outputs, biased):
    torch.manual_seed(0)
    x, weight = torch.randn(shape).double(), torch.randn(outputs, shape[1], 3, 3).double()
    bias = torch.randn(outputs).double() if biased else None
    expected = F.conv2d(x, weight, bias, padding=1)
    packed = PackedConv(weight, bias)
    for frames in (x, x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT):
        assert torch.allclose(packed(frames), expected, rtol=1e-12, atol=1e-12)


def test_float32_errs_no_more_than_the_direct_sum_on_spikes():
    torch.manual_seed(0)
    x, weight = (torch.rand(8, 256, 16, 16) < 0.2).float(), torch.randn(128, 256, 3, 3)
    assert suits(x, weight, SAME)
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = relative(convolve(x, weight, None, *SAME), exact)
    assert 0 < error < 2 * relative(F.conv2d(x, weight, padding=1), exact) + 1e-6


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(7, 128, 17, 13), (3, 192, 28, 28)])
def test_gradients(shape, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(0)
        weight = torch.randn(160, shape[1], 3, 3, requires_grad=True)
        bias, x = torch.randn(160, requires_grad=True), torch.randn(shape, requires_grad=True)
        y = F.conv2d(x, weight, bias, padding=1)
        grad = torch.randn_like(y)
        assert suits(grad, weight, SAME)
        expected = torch.autograd.grad(y, (x, weight, bias), grad)
        got = convolve_back(grad, x.detach(), weight, [160], SAME, [True, True, True])
        assert all(a is not None and relative(a, b) < 1e-4 for a, b in zip(got, expected, strict=True))
        assert convolve_back(grad, x.detach(), weight, [160], SAME, [True, False, False])[1:] == (None, None)
        assert relative(convolve(x.detach(), weight, bias, *SAME), y) < 1e-4
    finally:
        torch.set_num_threads(before)


def test_the_same_packed_weight_takes_inputs_of_any_size():
    torch.manual_seed(0)
    weight, bias = torch.randn(128, 128, 3, 3), torch.randn(128)
    packed = PackedConv(weight, bias)
    for shape in ((4, 128, 32, 32), (1, 128, 33, 9), (4, 128, 32, 32), (50, 128, 4, 4)):
        x = torch.randn(shape)
        assert relative(packed(x), F.conv2d(x, weight, bias, padding=1)) < 1e-4


def test_large_direct_results_are_made_in_pieces(monkeypatch):
    monkeypatch.setattr(conv, "FROM", 0)
    monkeypatch.setattr(conv, "CACHE", 40_000)
    torch.manual_seed(0)
    x, weight, bias = torch.randn(7, 6, 21, 17), torch.randn(8, 3, 3, 2), torch.randn(8)
    geometry = Geometry((2, 1), (1, 0), (1, 2), 2)
    assert torch.allclose(convolve(x, weight, bias, *geometry), torch.conv2d(x, weight, bias, *geometry), atol=1e-5)


@pytest.mark.parametrize("geometry", [SAME, Geometry((2, 2), (1, 1), (1, 1), 1)])
@pytest.mark.parametrize("wanted", list(product((True, False), repeat=3)))
def test_many_channels_of_few_pixels(geometry, wanted, monkeypatch):
    """Computed with planes in memory, and handed on channels last."""
    monkeypatch.setattr(conv, "NARROWEST", 1)
    torch.manual_seed(0)
    for channels, side in ((24, 1), (24, 2), (130, 4), (70, 4), (30, 4)):
        x = torch.randn(3, channels, side, side, dtype=torch.float64, requires_grad=wanted[0])
        weight = torch.randn(channels + 2, channels, 3, 3, dtype=torch.float64, requires_grad=wanted[1])
        bias = torch.randn(channels + 2, dtype=torch.float64, requires_grad=wanted[2])
        expected = F.conv2d(x, weight, bias, *geometry)
        y = convolve(
            x.detach().contiguous(memory_format=torch.channels_last), weight.detach(), bias.detach(), *geometry
        )
        assert torch.allclose(y, expected)
        assert y.permute(0, 2, 3, 1).is_contiguous()
        grad = torch.randn_like(expected)
        found = convolve_back(grad, x.detach(), weight.detach(), list(bias.shape), geometry, list(wanted))
        asked = [v for v, is_asked in zip((x, weight, bias), wanted, strict=True) if is_asked]
        for g, e in zip(
            (g for g, is_asked in zip(found, wanted, strict=True) if is_asked),
            torch.autograd.grad(expected, asked, grad) if asked else (),
            strict=True,
        ):
            assert torch.allclose(g, e)


def test_where_it_is_not_taken(monkeypatch):
    x, weight = torch.randn(8, 128, 16, 16), torch.randn(128, 128, 3, 3)
    assert suits(x, weight, SAME)
    for other in (
        Geometry((2, 2), (1, 1), (1, 1), 1), Geometry((1, 1), (0, 0), (1, 1), 1), Geometry((1, 1), (1, 1), (2, 2), 1),
    ):  # fmt: skip
        assert not suits(x, weight, other)
        assert torch.equal(convolve(x, weight, None, *other), torch.conv2d(x, weight, None, *other))
    assert not suits(x.double(), weight.double(), SAME)
    assert not suits(x[:1, :, :8, :8], weight, SAME)
    assert not suits(x[:, :64], weight[:, :64], SAME)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not suits(x, weight, SAME)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 2), (3, 1), (4, 5)])
def test_the_part_of_a_kernel_that_meets_pixels_is_enough(size):
    torch.manual_seed(0)
    x = torch.randn(3, 4, *size, dtype=torch.float64, requires_grad=True)
    found = 0
    for kernel, stride, padding, dilation in product(((3, 3), (2, 1), (5, 3)), (1, 2, 3), (0, 1, 2), (1, 2)):
        geometry = Geometry((stride, stride), (padding, padding), (dilation, dilation), 1)
        weight = torch.randn(6, 4, *kernel, dtype=torch.float64, requires_grad=True)
        if any(n + 2 * padding <= dilation * (k - 1) for n, k in zip(size, kernel, strict=True)):
            continue
        expected = F.conv2d(x, weight, None, *geometry)
        part, moved = met(weight, geometry, size)
        found += part is not weight
        y = Convolution.apply(x, part, None, moved)
        torch.testing.assert_close(y, expected)
        grad = torch.randn_like(expected)
        ours, theirs = (torch.autograd.grad(out, (x, weight), grad) for out in (y, expected))
        torch.testing.assert_close(ours, theirs)
    assert found or size == (4, 5)


def test_on_one_pixel_a_kernel_is_its_centre():
    weight = torch.randn(5, 4, 3, 3)
    part, geometry = met(weight, SAME, (1, 1))
    assert torch.equal(part, weight[:, :, 1:2, 1:2])
    assert geometry == Geometry((1, 1), (0, 0), (1, 1), 1)
