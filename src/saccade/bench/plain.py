"""The plain implementation that speed is measured against: what the released code of both papers does.

A Python loop over time in every neuron, differentiated by autograd; channels first; convolution, batch norm, neuron,
gate and pooling one after the other; a static image convolved T times. Same weights, same arithmetic as the network
that it is made from (a test holds it to that in float64).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from saccade.models.network import Classifier
from saccade.nn import LIF


def loop(neuron: LIF, current: Tensor) -> Tensor:
    """The neuron's spikes, step by step: [T, ...] -> [T, ...]."""
    state, spikes = None, []
    for x_t in current:
        spikes_t, state = neuron.step(x_t, state)
        spikes.append(spikes_t)
    return torch.stack(spikes)


class Looped(nn.Module):
    """A neuron that is run as a loop; one that others walk through step by step stays so."""

    def __init__(self, neuron: LIF) -> None:
        super().__init__()
        self.neuron = neuron
        self.step = neuron.step

    def forward(self, current: Tensor) -> Tensor:
        return loop(self.neuron, current)


def plain(model: Classifier) -> Classifier:
    """The network run the plain way, module by module, with a loop for every neuron. Shares the weights of `model`."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, shared)
    for name, module in list(twin.named_modules()):
        if isinstance(module, LIF):
            twin.set_submodule(name, Looped(module))
    return twin
