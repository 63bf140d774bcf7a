"""A convolution, its batch norm and the neuron after it, norm and neuron in one GPU kernel where that can be.

The kernel calls neither the norm nor the neuron. So it is taken only where nobody can tell: in training, where
firing is not counted, with a plain norm and a neuron of fixed constants, and with no hook on either.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from saccade.nn.attention.contract import GatedNeuron
from saccade.nn.composite import has_global_hooks, has_hooks
from saccade.nn.folding import fold_time, unfold_time
from saccade.nn.neuron import IF, LIF
from saccade.ops.lif import triton
from saccade.ops.norm_lif import norm_lif


def fire_normed(stage: nn.Sequential, neuron: nn.Module, x: Tensor) -> Tensor:
    """neuron(stage(x)), [T, B, C, H, W] -> [T, B, C', H', W'].

    Args:
        stage: a convolution and a norm, time folded into the batch.
        neuron: a LIF, gated or not.
    """
    gate = neuron.attention if isinstance(neuron, GatedNeuron) else None
    lif: Any = neuron.neuron if isinstance(neuron, GatedNeuron) else neuron
    by_spikes = gate is None or (gate.source == "spikes" and gate.placement == "spikes")
    if not (by_spikes and type(lif) in (LIF, IF) and _fuses(stage, neuron, lif, x)):
        return neuron(stage(x))
    conv, norm = cast(tuple[nn.Module, nn.BatchNorm2d], tuple(stage))
    current = unfold_time(conv(fold_time(x)), len(x))
    spikes = norm_lif(current, norm, lif.decay, lif.gain, lif.spec, lif.backend)
    return spikes if gate is None else gate(spikes)


def _fuses(stage: nn.Sequential, neuron: nn.Module, lif: LIF, x: Tensor) -> bool:
    if not stage.training or not (lif.backend == "triton" or (lif.backend == "auto" and x.device.type == "cuda")):
        return False
    norm = stage[1] if len(stage) == 2 else None
    if type(norm) is not nn.BatchNorm2d or not norm.affine or not norm.track_running_stats:
        return False
    if triton.unsupported(x, lif.decay, lif.gain, lif.spec) or triton.unavailable() or has_global_hooks():
        return False  # the neuron says why, once
    return not any(has_hooks(module) for module in (stage, norm, neuron, lif))
