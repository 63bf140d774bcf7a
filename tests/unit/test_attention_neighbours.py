"""Each neighbour attention against its formula written out slowly in numpy, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from saccade.nn.attention import Attention, create_attention
from saccade.nn.attention.eca import default_width
from saccade.nn.attention.squeeze import SameConv2d

Array = NDArray[np.float64]
SHAPES = [(7, 2, 19, 4, 5), (3, 3, 5, 1, 1), (1, 1, 1, 1, 1)]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def same_conv(x: Array, weight: Array) -> Array:
    """Zero-padded cross-correlation of [in, H, W] with [out, in, k, k], one product at a time."""
    out, into, k, _ = weight.shape
    _, H, W = x.shape
    y = np.zeros((out, H, W))
    pad = (k - 1) // 2
    for o, i, h, w, m, n in np.ndindex(out, into, H, W, k, k):
        row, column = h + m - pad, w + n - pad
        if 0 <= row < H and 0 <= column < W:
            y[o, h, w] += weight[o, i, m, n] * x[i, row, column]
    return y


def bottleneck(z: Array, w: dict[str, Array], prefix: str = "mlp") -> Array:
    return w[f"{prefix}.excite.weight"] @ np.maximum(w[f"{prefix}.squeeze.weight"] @ z, 0)


def time_score(x_b: Array, w: dict[str, Array], prefix: str = "mlp") -> Array:
    """[T, C, H, W] -> [T, 1, 1, 1]."""
    mean, top = (np.array([pool(x_t) for x_t in x_b]) for pool in (np.mean, np.max))
    return (bottleneck(mean, w, prefix) + bottleneck(top, w, prefix))[:, None, None, None]


def channel_score(x_b: Array, w: dict[str, Array], prefix: str = "mlp") -> Array:
    """[T, C, H, W] -> [C, 1, 1]."""
    channels = range(x_b.shape[1])
    mean, top = (np.array([pool(x_b[:, c]) for c in channels]) for pool in (np.mean, np.max))
    return (bottleneck(mean, w, prefix) + bottleneck(top, w, prefix))[:, None, None]


def space_score(x_b: Array, w: dict[str, Array], name: str = "conv.weight") -> Array:
    """[T, C, H, W] -> [1, H, W]."""
    flat = x_b.reshape(-1, *x_b.shape[2:])
    return same_conv(np.stack((flat.mean(axis=0), flat.max(axis=0))), w[name])


def ta(x_b: Array, w: dict[str, Array]) -> Array:
    return sigmoid(time_score(x_b, w))


def ca(x_b: Array, w: dict[str, Array]) -> Array:
    return sigmoid(channel_score(x_b, w))


def sa(x_b: Array, w: dict[str, Array]) -> Array:
    return sigmoid(space_score(x_b, w))


def tca(x_b: Array, w: dict[str, Array]) -> Array:
    g_t = sigmoid(time_score(x_b, w, "ta.mlp"))
    return g_t * sigmoid(channel_score(g_t * x_b, w, "ca.mlp"))


def tsa(x_b: Array, w: dict[str, Array]) -> Array:
    g_t = sigmoid(time_score(x_b, w, "ta.mlp"))
    return g_t * sigmoid(space_score(g_t * x_b, w, "sa.conv.weight"))


def csa(x_b: Array, w: dict[str, Array]) -> Array:
    g_c = sigmoid(channel_score(x_b, w, "ca.mlp"))
    return g_c * sigmoid(space_score(g_c * x_b, w, "sa.conv.weight"))


def tasnn(x_b: Array, w: dict[str, Array]) -> Array:
    z = np.array([x_t.mean() for x_t in x_b])
    hidden = np.maximum(w["mlp.squeeze.weight"] @ z + w["mlp.squeeze.bias"], 0)
    return sigmoid(w["mlp.excite.weight"] @ hidden + w["mlp.excite.bias"])[:, None, None, None]


def tcsa(x_b: Array, w: dict[str, Array]) -> Array:
    g_tc = tca(x_b, w)
    return g_tc * sigmoid(space_score(g_tc * x_b, w, "sa.conv.weight"))


def gac(x_b: Array, w: dict[str, Array]) -> Array:
    N = [same_conv(np.maximum(same_conv(x_t, w["conv_in.weight"]), 0), w["conv_out.weight"]) for x_t in x_b]
    return sigmoid(time_score(x_b, w) * np.array(N))


def se(x_b: Array, w: dict[str, Array]) -> Array:
    return sigmoid(np.array([bottleneck(x_t.mean(axis=(1, 2)), w) for x_t in x_b]))[:, :, None, None]


def eca(x_b: Array, w: dict[str, Array]) -> Array:
    kernel = w["conv.weight"].ravel()
    T, C = x_b.shape[:2]
    score = np.zeros((T, C))
    for t, c, m in np.ndindex(T, C, kernel.size):
        neighbour = c + m - (kernel.size - 1) // 2
        if 0 <= neighbour < C:
            score[t, c] += kernel[m] * x_b[t, neighbour].mean()
    return sigmoid(score)[:, :, None, None]


def cbam(x_b: Array, w: dict[str, Array]) -> Array:
    gates = []
    for x_t in x_b[:, None]:  # one step at a time: [1, C, H, W]
        g_c = sigmoid(channel_score(x_t, w))
        gates.append(g_c * sigmoid(space_score(g_c * x_t, w)))
    return np.stack(gates)


FORMULAS = {f.__name__: f for f in (ta, ca, sa, tca, tsa, csa, tcsa, tasnn, gac, se, eca, cbam)}
OPTIONS: list[tuple[str, dict[str, int]]] = [
    *((name, {}) for name in FORMULAS),
    ("ta", {"reduction": 2}),
    ("ca", {"reduction": 3}),
    ("sa", {"kernel_size": 4}),
    ("tca", {"reduction_time": 2, "reduction_channel": 5}),
    ("tcsa", {"reduction_time": 1, "reduction_channel": 2, "kernel_size": 2}),
    ("tsa", {"reduction_time": 2, "kernel_size": 5}),
    ("csa", {"reduction_channel": 3, "kernel_size": 5}),
    ("tasnn", {"reduction": 2}),
    ("gac", {"reduction": 1, "kernel_size": 3}),
    ("se", {"reduction": 4}),
    ("eca", {"kernel_channel": 4}),
    ("cbam", {"reduction": 2, "kernel_size": 3}),
]


def by_formula(module: Attention, name: str, source: torch.Tensor) -> Array:
    """The gate of every sample by the formula, [T, B, C, H, W]."""
    w = {key: value.detach().numpy() for key, value in module.named_parameters()}
    x = source.numpy()
    T, B, C, H, W = x.shape
    return np.stack([np.broadcast_to(FORMULAS[name](x[:, b], w), (T, C, H, W)) for b in range(B)], axis=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_gate_is_the_formula(name: str, options: dict[str, int], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = create_attention(name, channels=shape[2], steps=shape[0], **options).double()
    source = torch.randn(shape, dtype=torch.float64)
    gate = module.compute_gate(source).detach().expand(shape).numpy()
    np.testing.assert_allclose(gate, by_formula(module, name, source), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formula_is_sensitive_to_every_weight(name: str) -> None:
    """Guards the test above: were a weight not used, both sides could agree for nothing."""
    torch.manual_seed(0)
    module = create_attention(name, channels=6, steps=6).double()
    for parameter in module.parameters():
        parameter.data.abs_()  # keeps every ReLU open, the source being positive
    source = torch.rand(6, 2, 6, 4, 4, dtype=torch.float64)
    before = by_formula(module, name, source)
    for parameter in module.parameters():
        parameter.data += 0.5
        assert np.abs(by_formula(module, name, source) - before).max() > 1e-6
        parameter.data -= 0.5


@pytest.mark.parametrize(
    ("channels", "width"), [(1, 1), (2, 1), (8, 3), (16, 3), (64, 3), (127, 3), (128, 5), (256, 5), (512, 5), (2048, 7)]
)
def test_eca_width_is_the_nearest_odd_number(channels: int, width: int) -> None:
    assert default_width(channels) == width
    distance = abs((np.log2(channels) + 1) / 2 - width)
    assert distance <= 1
    assert create_attention("eca", channels, 4).conv.kernel_size == (width,)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
def test_same_conv_pads_as_torch_says(kernel: int) -> None:
    conv = SameConv2d(2, 3, kernel).double()
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    left, right = (kernel - 1) // 2, kernel // 2
    padded = nn.functional.pad(x, (left, right, left, right))
    torch.testing.assert_close(conv(x), nn.functional.conv2d(padded, conv.weight), rtol=0, atol=1e-12)


def test_bottlenecks_never_vanish() -> None:
    assert create_attention("ta", channels=4, steps=60).mlp.squeeze.out_features == 12
    assert create_attention("ta", channels=4, steps=4).mlp.squeeze.out_features == 1
    assert create_attention("se", channels=3, steps=4).mlp.squeeze.out_features == 1


@pytest.mark.parametrize("name", ["ta", "tca", "tsa", "tcsa", "tasnn"])
def test_small_bottlenecks_are_born_alive(name: str) -> None:
    """At T=4 the hidden width is 1; were its sign left to chance, half of these gates would not notice their input."""
    spikes = (torch.rand(4, 2, 8, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    for seed in range(20):
        torch.manual_seed(seed)
        module = create_attention(name, channels=8, steps=4)
        module(spikes).sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters()), seed


@pytest.mark.parametrize("name", ["ta", "ca", "tca", "tasnn", "gac", "se", "cbam"])
def test_bad_reduction_names_the_module(name: str) -> None:
    option = "reduction_time" if name == "tca" else "reduction"
    with pytest.raises(ValueError, match=f"^{name.upper()}: {option} must be a positive integer, not 0.$"):
        create_attention(name, channels=4, steps=4, **{option: 0})


def test_same_as_spikingjelly() -> None:
    """TA, CA and SA in sequence are SpikingJelly's MultiDimensionalAttention (before its ReLU, which spikes pass)."""
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    torch.manual_seed(0)
    theirs = layer.MultiDimensionalAttention(T=10, C=16, reduction_t=5, reduction_c=8, kernel_size=3).double()
    ours = create_attention("tcsa", channels=16, steps=10).double()
    with torch.no_grad():
        for mlp, axis in ((ours.ta.mlp, theirs.ta), (ours.ca.mlp, theirs.ca)):
            mlp.squeeze.weight.copy_(axis.sharedMLP[0].weight.flatten(1))
            mlp.excite.weight.copy_(axis.sharedMLP[2].weight.flatten(1))
        ours.sa.conv.weight.copy_(theirs.sa.conv.weight)
    spikes = (torch.rand(10, 3, 16, 6, 6) < 0.3).double()
    torch.testing.assert_close(ours(spikes), theirs(spikes), rtol=0, atol=1e-12)
