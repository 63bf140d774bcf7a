"""When a chain of modules may run as one composite node (`saccade.ops.composite`), and how.

A composite node calls none of the modules that it stands for. So it is taken only where nobody can tell: on the CPU, in
plain float32 or float64, with the neurons' backend "auto" or "cpu", and with no hook on any module inside. In all other
cases the modules are called one after the other.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from saccade.nn.attention.contract import Attention, GatedNeuron, NoAttention
from saccade.nn.attention.tcja import CLA, TCJA, TLA
from saccade.nn.folding import fold_time
from saccade.nn.neuron import IF, LIF
from saccade.ops.composite import Composite, Plan, batch_moments
from saccade.ops.lif import cpu
from saccade.ops.ran import note_ran
from saccade.ops.winograd import SAME, Convolution, Geometry


def runs_composite(owner: nn.Module, x: Tensor, backend: str) -> bool:
    """Whether the modules inside `owner` may be passed by for the sequence x [T, B, C, H, W]."""
    if backend not in ("auto", "cpu") or not x.numel() or torch.is_autocast_enabled("cpu"):
        return False
    if cpu.unsupported(x, 1.0, 1.0, LIF().spec) or cpu.unavailable():
        return False
    return not has_global_hooks() and not any(has_hooks(module) for module in owner.modules() if module is not owner)


def plain_neuron(module: nn.Module) -> LIF | None:
    """The LIF of fixed constants that `module` amounts to, or None for a gated, learned or foreign one."""
    if type(module) is GatedNeuron and type(module.attention) is NoAttention:
        module = module.neuron
    if type(module) not in (LIF, IF):
        return None
    neuron = cast(LIF, module)
    known = neuron.backend in ("auto", "cpu") and neuron.spec.beyond_kernels() is None
    return neuron if known else None


def gate_of_spikes(module: nn.Module) -> tuple[LIF, Attention] | None:
    """Neuron and gate, if the gate sees the neuron's spikes alone and multiplies them."""
    if type(module) is not GatedNeuron or (module.attention.source, module.attention.placement) != ("spikes", "spikes"):
        return None
    neuron = plain_neuron(module.neuron)
    return None if neuron is None else (neuron, module.attention)


def gate_of_means(module: nn.Module) -> tuple[LIF, Attention] | None:
    """Neuron and gate, if the gate is one positive number per channel that follows from the spikes' mean over H, W.

    Such a gate may multiply after a pooling instead of before: max and average commute with a positive factor.
    """
    gated = gate_of_spikes(module)
    return gated if gated is not None and type(gated[1]) in (TLA, CLA, TCJA) else None


def is_plain_norm(norm: nn.Module) -> bool:
    """Batch norm with weights and with running statistics that a momentum moves."""
    return type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats and norm.momentum is not None


def is_plain_conv(conv: nn.Module) -> bool:
    return type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def pooling(pool: nn.Module | None) -> str | None:
    """The name of a 2 x 2 pooling that a composite node knows ("none" for no pooling), or None."""
    if pool is None:
        return "none"
    settings = [getattr(pool, name, None) for name in ("kernel_size", "stride", "padding", "ceil_mode")]
    if settings != [2, 2, 0, False]:
        return None
    if type(pool) is nn.MaxPool2d and pool.dilation == 1 and not pool.return_indices:
        return "max"
    return "average" if type(pool) is nn.AvgPool2d and pool.divisor_override is None else None


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
    geometry = SAME if conv is None else geometry_of(conv)
    batch = norm is not None and norm.training
    plan = Plan(steps, neuron.decay, neuron.gain, neuron.spec, pool, mean, batch, geometry)
    kernel = (None, None) if conv is None else (conv.weight, conv.bias)
    statistics = (None,) * 4 if norm is None else (norm.weight, norm.bias, *_statistics(norm, y))
    return Composite.apply(y, *statistics, *kernel, plan)


def convolve_frames(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """conv(x) of folded frames [T*B, C, H, W], by the fastest way; the module itself is passed by."""
    return Convolution.apply(channels_last(x), conv.weight, conv.bias, geometry_of(conv))


def geometry_of(conv: nn.Conv2d) -> Geometry:
    return Geometry(*(getattr(conv, name) for name in Geometry._fields))


def channels_last(y: Tensor) -> Tensor:
    """[N, C, H, W] in channels-last memory, also where its strides say nothing (one channel, one pixel)."""
    return y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


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
    move_statistics(norm, mean, variance * (count / (count - 1)))
    return mean.to(y.dtype), (variance + norm.eps).rsqrt().to(y.dtype)


def move_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """One step of a norm's running mean and (unbiased) variance."""
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance)):
        assert running is not None
        running.mul_(1 - norm.momentum).add_(new.to(running.dtype), alpha=norm.momentum)


def has_hooks(module: nn.Module) -> bool:
    """Whether a hook waits for this very module to be called."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def has_global_hooks() -> bool:
    """Whether a hook waits for any module to be called."""
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )
