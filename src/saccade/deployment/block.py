"""MS-ResNet's block for inference: the residual stream is added to in place."""

from __future__ import annotations

from torch import Tensor, nn

from saccade.deployment.layers import Layer
from saccade.deployment.neuron import packed
from saccade.deployment.site import Site, spans


class Block(nn.Module):
    """shortcut(x) + conv2(site2(site1(x))) on the membrane current x [T, B, C, H, W], which is overwritten.

    Args:
        site1: the first neuron.
        site2: the first convolution, the neuron after it and its gate.
        conv2: the second convolution.
        shortcut: what a change of shape goes through; None: x itself.
    """

    def __init__(self, site1: Site, site2: Site, conv2: Layer, shortcut: Layer | None) -> None:
        super().__init__()
        self.site1, self.site2, self.conv2, self.shortcut = site1, site2, conv2, shortcut

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.site2(self.site1(x))
        stream = x if self.shortcut is None else self.shortcut(x)
        if len(stream) != len(spikes):  # a static image that no neuron has seen yet
            stream = packed(stream.expand(len(spikes), *stream.shape[1:]))
        for first, last in spans(len(spikes), self.conv2.numbers(spikes)):
            stream[first:last] += self.conv2(spikes[first:last])
        return stream
