"""The parts of deployment: folding, slices, integer convolutions, neurons in pieces, pooling of bytes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from saccade.chain.patterns import halving
from saccade.engines.inference import integer
from saccade.engines.inference.fold import folded
from saccade.engines.inference.layers import FloatConv, SlicedConv
from saccade.engines.inference.neuron import Fire, empty_steps, packed, spike_means
from saccade.engines.inference.pooling import pool_bytes
from saccade.engines.inference.site import spans
from saccade.engines.inference.slices import int8_slices
from saccade.nn import LIF
from saccade.ops.lif import cpu

needs_integers = pytest.mark.skipif(integer.unavailable() is not None, reason=str(integer.unavailable()))


def test_folded_batch_norm_equals_the_two_layers():
    conv, norm = nn.Conv2d(3, 5, 3).double(), nn.BatchNorm2d(5).double()
    for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
        tensor.normal_()
    norm.running_var.uniform_(0.1, 2)
    x = torch.randn(2, 3, 7, 7).double()
    torch.testing.assert_close(F.conv2d(x, *folded(conv, norm)), norm.eval()(conv(x)), rtol=0, atol=1e-12)


def test_a_norm_without_statistics_cannot_be_folded():
    with pytest.raises(ValueError, match="track_running_stats=True"):
        folded(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, track_running_stats=False))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_slices_leave_at_most_the_stated_rest(count):
    weight = torch.randn(7, 11, 3, 3).double() * torch.logspace(-3, 3, 7).double().view(-1, 1, 1, 1)
    weight[2] = 0
    total = sum(q.double() * scale.view(-1, 1, 1, 1) for q, scale in int8_slices(weight, count))
    bound = weight.abs().amax((1, 2, 3)) / 254**count
    assert ((total - weight).abs().amax((1, 2, 3)) <= bound * (1 + 1e-9)).all()


@needs_integers
@pytest.mark.parametrize(("slices", "bound"), [(1, 1e-2), (2, 4e-5), (3, 3e-7)])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("channels", "out", "kernel", "stride"), [(16, 32, 3, 1), (5, 3, 3, 2), (33, 17, 1, 1)])
def test_sliced_convolutions_against_float64(slices, bound, binary, channels, out, kernel, stride):
    torch.manual_seed(0)
    weight, bias = torch.randn(out, channels, kernel, kernel).double(), torch.randn(out).double()
    x = torch.randint(0, 2 if binary else 5, (3, channels, 9, 8), dtype=torch.uint8)
    geometry = (stride, stride), (kernel // 2, kernel // 2)
    conv = SlicedConv(weight, bias, *geometry, slices, binary)
    expected = F.conv2d(x.double(), weight, bias, *geometry)
    error = (conv(x.contiguous(memory_format=torch.channels_last)) - expected).norm() / expected.norm()
    assert error <= bound


@needs_integers
def test_a_filter_too_wide_for_a_32_bit_sum_is_not_doubled():
    wide, narrow = (SlicedConv(torch.ones(1, n, 1, 1).double(), None, (1, 1), (0, 0), 2, True) for n in (70_000, 100))
    assert narrow.doubled
    assert not wide.doubled
    x = torch.ones(1, 70_000, 1, 1, dtype=torch.uint8)
    assert wide(x).item() == pytest.approx(70_000, rel=1e-5)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(7, 2, 5, 6, 3), (7, 3, 11), (7, 2, 64, 40, 40)])
def test_a_neuron_fed_in_pieces_fires_the_reference_spikes(compiled, reset, dtype, shape):
    if compiled:
        pytest.importorskip("numba")
    x = torch.randn(shape, dtype=dtype)
    neuron = LIF(0.6, 0.9, reset=reset, backend="auto" if compiled else "reference")
    expected = LIF(0.6, 0.9, reset=reset, backend="reference")(x)
    x = packed(x)
    fire, out = Fire(neuron), empty_steps(7, x, torch.uint8)
    for first, last in ((0, 1), (1, 5), (5, 7)):
        fire(x[first:last], out[first:last])
    assert torch.equal(out.to(dtype), expected)
    assert torch.equal(Fire(neuron)(x, x), expected), "written over the currents"


def test_an_image_at_every_step_is_read_once():
    image = torch.randn(1, 2, 4, 3, 3)
    x = packed(image).expand(5, *image.shape[1:])
    out = Fire(LIF())(x, empty_steps(5, x, torch.float32))
    assert torch.equal(out, LIF(backend="reference")(x))


@pytest.mark.parametrize("side", [1, 2, 5])
def test_many_channels_of_few_pixels(side):
    """Computed with planes in memory where that is faster, and handed on channels last."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 128, side, side), torch.randn(130, 128, 3, 3), torch.randn(130)
    conv = FloatConv(weight, bias, (1, 1), (1, 1), torch.float32)
    y = conv.direct(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(y, torch.conv2d(x, weight, bias, padding=1), rtol=1e-4, atol=1e-3)
    assert y.permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (2, 3)])
def test_pooled_bytes_are_pooled_spikes(size):
    spikes = (torch.rand(3, 2, 5, *size) < 0.4).to(torch.uint8)
    frames = spikes.flatten(0, 1).float()
    for pool, factor in ((nn.MaxPool2d(2), 1), (nn.AvgPool2d(2), 4)):
        assert torch.equal(pool_bytes(spikes, pool).flatten(0, 1).float(), factor * pool(frames))


def test_which_poolings_halve():
    assert [halving(pool) for pool in (nn.MaxPool2d(2), nn.AvgPool2d((2, 2)))] == ["max", "average"]
    for other in (nn.MaxPool2d(3), nn.MaxPool2d(2, 1), nn.AvgPool2d(2, padding=1), nn.AdaptiveAvgPool2d(2), nn.ReLU()):
        assert halving(other) is None


@pytest.mark.parametrize("compiled", [True, False])
def test_means_of_spikes_are_exact(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(cpu, "unavailable", lambda: "not installed")
    spikes = (torch.rand(3, 2, 5, 9, 7) < 0.4).to(torch.uint8)
    torch.testing.assert_close(spike_means(spikes), spikes.double().mean((3, 4), keepdim=True), rtol=0, atol=1e-15)


def test_pieces_cover_a_sequence():
    assert list(spans(5, 1 << 30)) == [(t, t + 1) for t in range(5)]
    assert list(spans(5, 1)) == [(0, 5)]
    assert [last - first for first, last in spans(7, (1 << 23) // 4 // 3)] == [3, 3, 1]
