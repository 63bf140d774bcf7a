"""bfloat16 on the CPU: operands and memory of that type, everything between them in float32."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import saccade
from saccade.engines.nodes import compose, convolve_frames
from saccade.engines.record import recorded
from saccade.nn import LIF, PLIF
from saccade.ops.lif import cpu
from saccade.ops.plumbing import bfloat
from saccade.train.device import choose_autocast

pytestmark = pytest.mark.skipif(cpu.unavailable() is not None, reason="composite nodes need numba")

ROUNDING = 2**-8  # of a bfloat16, relative
SPECIAL = [0.0, -0.0, 1.0, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, 1e-40, float("inf"), -float("inf"), float("nan")]


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def far(ours: Tensor, exact: Tensor) -> float:
    """The largest difference, relative to the size of what is compared."""
    ours, exact = ours.detach().double(), exact.detach().double()
    return float((ours - exact).abs().max() / exact.abs().max().clamp(min=1e-30))


def test_loops_round_as_torch_does():
    from numba import njit

    from saccade.ops.plumbing.bfloat_kernel import narrowed, widened

    @njit
    def copy_into(out, x):
        for i in range(len(x)):
            out[i] = narrowed(widened(x[i]), out)

    bits = torch.randint(-(2**31), 2**31 - 1, (10000,), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    all_nans = torch.tensor([0x7FFFFFFF, -1], dtype=torch.int32).view(torch.float32)
    x = torch.cat([torch.tensor(SPECIAL), bits.view(torch.float32), all_nans])
    out, back = torch.empty(len(x), dtype=torch.bfloat16), torch.empty(len(x))
    copy_into(bfloat.as_array(out), x.numpy())
    torch.testing.assert_close(out, x.bfloat16(), rtol=0, atol=0, equal_nan=True)
    copy_into(back.numpy(), bfloat.as_array(out))
    torch.testing.assert_close(back, x.bfloat16().float(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("learned", [False, True])
def test_the_neuron_is_the_reference_to_the_last_bit(learned):
    torch.manual_seed(0)
    x, weights = torch.randn(5, 3, 40).bfloat16(), torch.randn(5, 3, 40)
    found = []
    for backend in ("cpu", "reference"):
        neuron, leaf = (PLIF if learned else LIF)(backend=backend), x.clone().requires_grad_()
        spikes = neuron(leaf)
        gradients = torch.autograd.grad((spikes.float() * weights).sum(), [leaf, *neuron.parameters()])
        found.append([spikes, *gradients])
    for ours, exact in zip(*found, strict=True):
        assert far(ours, exact) <= (ROUNDING if learned else 0)


@pytest.mark.parametrize("pool", ["none", "max", "average"])
@pytest.mark.parametrize("training", [False, True])
def test_a_node_is_the_float32_node_between_rounded_tensors(pool, training):
    """Spikes are equal to the last bit; each gradient is off by the rounding of what it is made of."""
    torch.manual_seed(0)
    norm, conv = nn.BatchNorm2d(8).train(training), nn.Conv2d(8, 16, 3, 1, 1)
    nn.init.normal_(norm.bias)
    with torch.no_grad():
        conv.weight.copy_(conv.weight.bfloat16())
    y = (0.3 + torch.randn(12, 8, 6, 10)).bfloat16()
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        norm_, conv_, leaf = copy.deepcopy(norm), copy.deepcopy(conv), y.to(dtype).requires_grad_()
        spikes, means = compose(leaf, 4, LIF(), norm_, pool, mean=pool != "none")
        out, _ = compose(leaf, 4, LIF(), norm_, pool, conv_)
        torch.manual_seed(1)
        loss = (out.float() * torch.randn(out.shape)).sum() + means.sum() * 0.1
        gradients = torch.autograd.grad(loss, [leaf, *norm_.parameters(), conv_.weight])
        assert out.dtype == dtype
        assert {p.dtype for p in gradients[1:]} == {torch.float32}
        found.append([spikes, means, out, *gradients, norm_.running_mean, norm_.running_var])
    limits = [0, 0, ROUNDING, *[4 * ROUNDING] * 4, 0, 0]
    for ours, exact, limit in zip(*found, limits, strict=True):
        if exact.numel():
            assert far(ours, exact) <= limit


def test_a_convolution_sums_in_float32():
    torch.manual_seed(0)
    x, conv = (torch.rand(3, 64, 5, 7) > 0.5).float(), nn.Conv2d(64, 32, 3, 2, 1)
    with torch.no_grad():
        conv.weight.copy_(conv.weight.bfloat16())
        assert far(convolve_frames(conv, x.bfloat16()), F.conv2d(x, conv.weight, conv.bias, 2, 1)) <= ROUNDING


NETWORKS = [  # width, attention, size of the images
    ("msresnet18", 0.1, "dta", 8),
    ("msresnet18", 0.1, "tcja", 8),
    ("vggsnn_tet", 0.1, "tcja", 16),
    ("fashion_net", 0.3, "tla", 14),
]


@pytest.mark.parametrize(("name", "width", "attention", "size"), NETWORKS)
def test_networks_learn_in_the_fused_engine(name, width, attention, size):
    """Whole networks: a flipped spike spreads, so what is compared is that eight samples are learned by heart."""
    torch.manual_seed(0)
    model = saccade.create_model(name, width=width, steps=4, attention=attention, input_size=(size, size))
    x, labels = torch.rand(8, model.in_channels, size, size), torch.arange(8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        with autocast(), recorded() as found:
            logits = model(x)
        assert any(ran.engine == "cpu" for ran in found)
        loss = F.cross_entropy(logits.mean(0).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert losses[-1] < 0.75 * losses[0]


def test_who_takes_what():
    model = saccade.create_model("msresnet18", width=0.05, steps=2).eval()
    x = torch.rand(2, 3, 8, 8)
    with autocast():
        taken = {row.engine for row in saccade.explain(model, x)}
        assert "cpu" in taken
        wide = saccade.create_model("msresnet18", width=0.05, steps=2).double().eval()
        assert "cpu" not in {row.engine for row in saccade.explain(wide, x.double())}
    with torch.autocast("cpu", torch.float16):
        rows = saccade.explain(model, x)
    assert any("autocast to torch.float16 is on" in row.reason for row in rows)


def test_a_processor_without_it_computes_in_float32(monkeypatch):
    monkeypatch.setattr(bfloat, "units", lambda: None)
    with pytest.warns(RuntimeWarning, match="does not multiply bfloat16"):
        assert choose_autocast("bfloat16", torch.device("cpu")) is None
    monkeypatch.setattr(bfloat, "units", lambda: "AMX")
    assert choose_autocast("bfloat16", torch.device("cpu")) is torch.bfloat16


def test_bits_are_not_copied():
    x = torch.zeros(4, dtype=torch.bfloat16)
    bfloat.as_array(x)[:] = np.uint16(0x3F80)
    assert x.tolist() == [1.0] * 4
