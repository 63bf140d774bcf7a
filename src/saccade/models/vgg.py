"""The VGG-like networks of TCJA-SNN (IEEE TNNLS 2024, arXiv 2206.10177) for CIFAR10-DVS.

C3 is conv3x3 - BN - LIF, AP is average pooling by 2, both at every step.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from saccade.engines import Links
from saccade.models.blocks import ConvNorm, halved, required_size
from saccade.models.network import Classifier
from saccade.models.registry import register_model
from saccade.nn.folding import TimeFolded
from saccade.nn.neuron import LIF
from saccade.nn.shape import Flat, FrameSize

PUBLISHED = {"steps": 10, "in_channels": 2, "input_size": (48, 48)}
CHANNELS = (64, 128, 256, 256, 512, 512, 512, 512)


class VGG(Classifier):
    """64C3-128C3-AP-256C3-256C3-AP-512C3-512C3-AP-512C3-512C3-AP-FC, the linear layer read at every step.

    Subclasses say which convolutions (0 to 7) carry the attention, and with which neuron.
    """

    gated_convs: ClassVar[tuple[int, ...]] = ()
    tcja_kernel: ClassVar[int]

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self.frame_size = required_size(self)
        in_channels = self.in_channels
        self.tcja_kernels = {"kernel_time": self.tcja_kernel, "kernel_channel": self.tcja_kernel}
        self.convs = nn.ModuleList()
        self.neurons = nn.ModuleList()
        for i, base in enumerate(CHANNELS):
            channels = self.scaled(base)
            self.convs.append(ConvNorm(in_channels, channels, bias=True))
            neuron = self.new_neuron()
            self.neurons.append(self.gated(channels, neuron, self.tcja_kernels) if i in self.gated_convs else neuron)
            in_channels = channels
        self.pool = TimeFolded(nn.AvgPool2d(2))
        H, W = halved(type(self).__name__, self.frame_size, 4)
        self.head = nn.Linear(in_channels * H * W, self.num_classes)

    def new_neuron(self) -> LIF:
        """The neuron after every convolution."""
        raise NotImplementedError(f"{type(self).__name__} must implement new_neuron().")

    def links(self) -> Links:
        yield "size", FrameSize(type(self).__name__, self.frame_size, self.pools_input)
        for i, (conv, neuron) in enumerate(zip(self.convs, self.neurons, strict=True)):
            yield f"convs.{i}", conv
            yield f"neurons.{i}", neuron
            if i % 2:
                yield "pool", self.pool
        yield "flat", Flat()
        yield "head", self.head


@register_model("vggsnn", PUBLISHED)
class VGGSNN(VGG):
    """TCJA's network for CIFAR10-DVS: TCJA(4, 4) after the sixth and the eighth convolution.

    Neuron: tau = 2 with input decay (decay 0.5, gain 0.5), triangle surrogate, reset detached. Frames of any size are
    average-pooled to `input_size` (published: 48 x 48) first.
    """

    gated_convs = (5, 7)
    tcja_kernel = 4
    pools_input = True
    official_keys = (
        *((rf"^conv\.{n}\.0\.", f"convs.{i}.conv.") for i, n in enumerate((1, 3, 6, 8, 11, 13, 17, 19))),
        *((rf"^conv\.{n}\.1\.", f"convs.{i}.norm.") for i, n in enumerate((1, 3, 6, 8, 11, 13, 17, 19))),
        (r"^conv\.15\.", "neurons.5.attention."),
        (r"^conv\.21\.", "neurons.7.attention."),
        (r"^fc\.1\.0\.", "head."),
    )

    def new_neuron(self) -> LIF:
        return LIF.from_tau(2.0, surrogate="triangle", backend=self.backend)


@register_model("vggsnn_tet", PUBLISHED)
class VGGSNNTET(VGG):
    """The same VGG as trained with TET: one TCJA(2, 2) after the second convolution, kaiming fan-out weights.

    Neuron: decay 0.5, gain 1, triangle surrogate, reset not detached.
    """

    gated_convs = (1,)
    tcja_kernel = 2
    official_keys = (
        *((rf"^features\.{n}\.fwd\.module\.0\.", f"convs.{i}.conv.") for i, n in enumerate((0, 1, 4, 5, 7, 8, 10, 11))),
        *((rf"^features\.{n}\.fwd\.module\.1\.", f"convs.{i}.norm.") for i, n in enumerate((0, 1, 4, 5, 7, 8, 10, 11))),
        (r"^features\.2\.", "neurons.1.attention."),
        (r"^classifier\.module\.", "head."),
    )

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def new_neuron(self) -> LIF:
        return LIF(backend=self.backend)
