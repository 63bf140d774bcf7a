"""The composite nodes of `saccade.ops.composite`, built from torch's modules.

The modules themselves are passed by: their weights are read, and the running statistics of a norm are moved as its own
forward would move them. Whoever calls these has made sure that nobody waits for the modules to be called.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saccade.nn.folding import fold_time, regular_gradient
from saccade.nn.neuron import LIF
from saccade.ops.composite import Composite, NormAdd, Plan, Scale, batch_moments, channels_last
from saccade.ops.plumbing.bfloat import computed_in
from saccade.ops.plumbing.ran import note_ran
from saccade.ops.winograd import SAME, Convolution, Geometry, met


def compose(
    y: Tensor,
    steps: int,
    neuron: LIF,
    norm: nn.BatchNorm2d | None = None,
    pool: str = "none",
    conv: nn.Conv2d | None = None,
    mean: bool = False,
) -> tuple[Tensor, Tensor]:
    """conv(pool(neuron(norm(y)))) of folded currents y [T*B, C, H, W], and the spikes' mean over H, W [T*B, C].

    The norm's running statistics move as they do in its own forward. The mean is empty unless asked for.
    """
    note_ran("cpu")
    y = channels_last(y)
    sides = [side // 2 if pool != "none" else side for side in y.shape[2:]]
    weight, geometry = (None, SAME) if conv is None else met(conv.weight, geometry_of(conv), sides)
    batch = norm is not None and norm.training
    plan = Plan(steps, neuron.decay, neuron.gain, neuron.spec, pool, mean, batch, geometry)
    bias = None if conv is None else conv.bias
    statistics = (None,) * 4 if norm is None else (norm.weight, norm.bias, *_statistics(norm, y))
    return Composite.apply(y, *statistics, weight, bias, plan)


def convolve_frames(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """conv(x) of folded frames [N, C, H, W], by the fastest way."""
    weight, geometry = met(conv.weight, geometry_of(conv), x.shape[2:])
    return Convolution.apply(channels_last(x), weight, conv.bias, geometry)


def add_normalised(norm: nn.BatchNorm2d, y: Tensor, other: Tensor) -> Tensor:
    """norm(y) + other, of folded frames [N, C, H, W]; the norm's running statistics move as in its own forward."""
    y = channels_last(y)
    return NormAdd.apply(y, norm.weight, norm.bias, *_statistics(norm, y), channels_last(other), norm.training)


def multiply(x: Tensor, gate: Tensor, steps: int) -> Tensor:
    """x [T*B, C, H, W] times a gate that broadcasts to [T, B, C, 1, 1]."""
    N, C = x.shape[:2]
    return Scale.apply(channels_last(x), gate.expand(steps, N // steps, C, 1, 1).reshape(N, C))


def normalise_once(norm: nn.BatchNorm2d, y: Tensor, steps: int) -> Tensor:
    """norm(y), in training, for frames y [B, C, H, W] that are shown `steps` times, in the statistics too.

    Equal copies leave mean and variance as they are. Only the running variance, which is unbiased, knows how many there
    were: it moves by var * n / (n - 1) with n = T * B * H * W.
    """
    n = y.numel() // y.shape[1]
    mean, variance = torch.zeros_like(norm.bias), torch.zeros_like(norm.bias)
    out = nn.functional.batch_norm(y, mean, variance, norm.weight, norm.bias, True, 1.0, norm.eps)
    with torch.no_grad():
        _move_statistics(norm, mean, variance * (steps * (n - 1) / (steps * n - 1)))
    return regular_gradient(out)


def geometry_of(conv: nn.Conv2d) -> Geometry:
    return Geometry(*(getattr(conv, name) for name in Geometry._fields))


def folded(x: Tensor) -> Tensor:
    """[T, B, C, H, W] -> [T*B, C, H, W], channels last."""
    return channels_last(fold_time(x))


@torch.no_grad()
def _statistics(norm: nn.BatchNorm2d, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and 1 / std that the norm divides by; in training mode its running statistics move."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if not norm.training:
        return norm.running_mean.clone(), (norm.running_var + norm.eps).rsqrt()
    count = y.numel() // y.shape[1]
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(y.shape)}")
    mean, variance = batch_moments(y)
    _move_statistics(norm, mean, variance * (count / (count - 1)))
    kept_as = computed_in(y.dtype)
    return mean.to(kept_as), (variance + norm.eps).rsqrt().to(kept_as)


def _move_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """One step of a norm's running mean and (unbiased) variance."""
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance)):
        assert running is not None
        running.mul_(1 - norm.momentum).add_(new.to(running.dtype), alpha=norm.momentum)
