"""The plain implementation that speed is measured against: what the released code of both papers does.

A Python loop over time in every neuron, differentiated by autograd; channels first; convolution, batch norm, neuron,
gate and pooling one after the other; a static image convolved T times. Same weights, same arithmetic as the network
that it is made from (a test holds it to that in float64).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from saccade.deployment.chains import chain_of
from saccade.models import MSBlock, SpikingNetwork
from saccade.models.blocks import ConvNorm
from saccade.nn import LIF, GatedNeuron, fold_time, unfold_time


def loop(neuron: LIF, current: Tensor) -> Tensor:
    """The neuron's spikes, step by step: [T, ...] -> [T, ...]."""
    state, spikes = None, []
    for x_t in current:
        spikes_t, state = neuron.step(x_t, state)
        spikes.append(spikes_t)
    return torch.stack(spikes)


class Plain(nn.Module):
    """A network run the plain way. Shares the weights of `model`."""

    def __init__(self, model: SpikingNetwork) -> None:
        super().__init__()
        self.model = model
        self.chain = [module for _, module in chain_of(model)]

    def forward(self, x: Tensor) -> Tensor:
        x = self.model.as_sequence(x)
        for module in self.chain:
            x = _apply(module, x)
        return x


def _apply(module: Any, x: Tensor) -> Tensor:
    if isinstance(module, ConvNorm):
        return unfold_time(nn.Sequential.forward(module, fold_time(x)), len(x))
    if isinstance(module, MSBlock):
        first = _apply(module.conv1, _apply(module.neuron1, x))
        return _apply(module.downsample, x) + _apply(module.conv2, _apply(module.neuron2, first))
    if isinstance(module, GatedNeuron):
        attention, neuron = module.attention, cast(LIF, module.neuron)
        if attention.placement == "current":
            return loop(neuron, attention(x))
        return attention(loop(neuron, x), x)
    if isinstance(module, LIF):
        return loop(module, x)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return unfold_time(module(fold_time(x)), len(x))
    return module(x)
