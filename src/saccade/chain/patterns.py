"""What engines ask of links: whether a module is exactly the operation that a kernel computes.

Everything here looks at what a module is, never at an input. A module that does more than it seems to (a class of its
own with another forward, another padding, a norm without statistics) is not recognised, and runs as it is.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

from saccade.chain.links import Link, NeuronLink
from saccade.nn.attention.contract import Attention
from saccade.nn.neuron import LIF

WINDOW = 4  # neurons in a 2 x 2 window


def is_lif(neuron: nn.Module) -> bool:
    """Whether a neuron is the LIF recurrence of its decay, gain and spec, with nothing of its own around it."""
    return isinstance(neuron, LIF) and type(neuron).forward is LIF.forward and type(neuron).step is LIF.step


def has_constants(neuron: LIF) -> bool:
    """Whether decay and gain are numbers, not learned."""
    return type(neuron)._decay_and_gain is LIF._decay_and_gain


def plain_neuron(link: Link) -> LIF | None:
    """The LIF of fixed constants that a link amounts to, or None for a gated, learned or foreign one."""
    if not isinstance(link, NeuronLink) or link.gate is not None:
        return None
    return link.neuron if is_lif(link.neuron) and has_constants(link.neuron) else None


def gated_by_spikes(link: Link) -> LIF | None:
    """The LIF of fixed constants of a link whose gate sees the neuron's spikes alone and multiplies them, or None."""
    gate = link.gate if isinstance(link, NeuronLink) else None
    if gate is None or (gate.source, gate.placement) != ("spikes", "spikes"):
        return None
    assert isinstance(link, NeuronLink)
    return link.neuron if is_lif(link.neuron) and has_constants(link.neuron) else None


def gate_commutes_with(link: NeuronLink, pool: str) -> bool:
    """Whether the gate may multiply after a pooling ("max" or "average") instead of before it.

    It may where it is one number per channel, and positive for a maximum.
    """
    gate = link.gate
    if gate is None or type(gate).forward is not Attention.forward:  # more than a product with the gate
        return False
    return gate.needs == "means" and (pool == "average" or gate.positive)


def is_plain_norm(norm: nn.Module | None) -> bool:
    """Batch norm with weights and with running statistics that a momentum moves."""
    return type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats and norm.momentum is not None


def is_plain_conv(conv: nn.Module) -> bool:
    """A 2-d convolution with zeros around the frame."""
    return type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def is_dense_conv(conv: Any) -> bool:
    """A plain convolution of all channels with all, without gaps."""
    return is_plain_conv(conv) and (conv.groups, conv.dilation) == (1, (1, 1))


def halving(pool: Any) -> str | None:
    """ "max" or "average" for a pooling over 2 x 2 windows that do not overlap, else None."""
    if type(pool) not in (nn.MaxPool2d, nn.AvgPool2d) or pool.ceil_mode:
        return None
    if [_pair(size) for size in (pool.kernel_size, pool.stride, pool.padding)] != [(2, 2), (2, 2), (0, 0)]:
        return None
    if type(pool) is nn.MaxPool2d and _pair(pool.dilation) == (1, 1) and not pool.return_indices:
        return "max"
    return "average" if type(pool) is nn.AvgPool2d and pool.divisor_override is None else None


def _pair(size: Any) -> Any:
    return (size, size) if isinstance(size, int) else size


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
