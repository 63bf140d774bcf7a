"""The network of MA-SNN and TA-SNN for DVS128 Gesture: the gates in every layer, on the current.

MA-SNN: Yao et al. Attention Spiking Neural Networks. IEEE TPAMI 2023, arXiv 2209.13929; BICLab/Attention-SNN.
TA-SNN: Yao et al. Temporal-wise Attention Spiking Neural Networks for Event Streams Classification. ICCV 2021,
arXiv 2107.11711; BICLab/TA-SNN. Both released the same network, with other gates.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from saccade.engines import Links
from saccade.models.blocks import ConvNorm, halved, required_size
from saccade.models.network import Classifier
from saccade.models.registry import register_model
from saccade.nn.attention import GatedNeuron, attention_class, attention_options, create_attention
from saccade.nn.attention.contract import Rules
from saccade.nn.folding import TimeFolded
from saccade.nn.neuron import LIF
from saccade.nn.shape import Flat, FrameSize

CHANNELS = 64, 128, 128
HIDDEN = 256
FEATURES = len(CHANNELS)  # the number of the first fully connected layer


def feature_keys(number: int) -> Rules:
    """The keys of a fully connected layer, whose gate is one attention alone."""
    theirs, layer, gate = (
        rf"^FC{number}\.",
        f"layers.{FEATURES + number}.",
        f"neurons.{FEATURES + number}.attention.",
    )
    return (
        (rf"{theirs}linear\.", f"{layer}conv."),
        (rf"{theirs}BNLayer\.", f"{layer}norm."),
        (rf"{theirs}attention\.ta\.sharedMLP\.0\.", f"{gate}mlp.squeeze."),
        (rf"{theirs}attention\.ta\.sharedMLP\.2\.", f"{gate}mlp.excite."),
        (rf"{theirs}attention\.", gate),
    )


KEYS: Rules = (
    (r"^convAttLIF(\d)\.conv2d\.", r"layers.\1.conv."),
    (r"^convAttLIF(\d)\.BNLayer\.", r"layers.\1.norm."),
    (r"^convAttLIF(\d)\.attention\.", r"neurons.\1.attention."),
    *feature_keys(0),
    *feature_keys(1),
)


@register_model("masnn_gesture_net", {"num_classes": 11, "steps": 60, "in_channels": 2, "input_size": (32, 32)})
class MASNNGestureNet(Classifier):
    """64C3 - 128C3-AP - 128C3-AP - 256FC - K FC, [T, B, C, H, W] -> spikes [T, B, K]; all layers with biases.

        nC3: LIF(gate(AP(BN(conv3x3(x)))));   nFC: LIF(gate(BN(linear(x))))

    AP is average pooling by 2. The neuron goes on from its threshold after a spike (`LIF.published("masnn")`), and what
    MA-SNN's gates let through passes a ReLU (`rectify`, on here unless it is switched off).

    The gates stand in every layer. The fully connected ones get the attention along time if the chosen one has any
    (`Attention.on_features`), else none: linear layers are 1 x 1 convolutions of maps of one pixel here.
    """

    official_keys = KEYS

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self.frame_size = required_size(self)
        H, W = halved("MASNNGestureNet", self.frame_size, 2)
        self.layers, self.neurons = nn.ModuleList(), nn.ModuleList()
        channels = self.in_channels
        if "rectify" in attention_options(self.attention):
            self._attention_options = {"rectify": True, **self._attention_options}
        for base in CHANNELS:
            out = self.scaled(base)
            self.layers.append(ConvNorm(channels, out, bias=True))
            self.neurons.append(self.gated(out, self._lif()))
            channels = out
        channels *= H * W
        for out in (self.scaled(HIDDEN), self.num_classes):
            self.layers.append(ConvNorm(channels, out, 1, bias=True))
            self.neurons.append(self._gated_features(out))
            channels = out
        self.pool = TimeFolded(nn.AvgPool2d(2))
        self.as_pixel = nn.Sequential(Flat(), nn.Unflatten(1, (-1, 1, 1)))

    def _lif(self) -> LIF:
        return LIF.published("masnn", backend=self.backend)

    def _gated_features(self, channels: int) -> GatedNeuron:
        name = attention_class(self.attention).on_features
        given = {"reduction": self._attention_options.get("reduction_time"), **self._attention_options}
        options = {k: v for k, v in given.items() if k in attention_options(name) and (v is not None)}
        return GatedNeuron(self._lif(), create_attention(name, channels, self.steps, **options))

    def links(self) -> Links:
        yield "size", FrameSize("MASNNGestureNet", self.frame_size)
        for i, (layer, neuron) in enumerate(zip(self.layers, self.neurons, strict=True)):
            if i == FEATURES:
                yield "as_pixel", self.as_pixel
            yield f"layers.{i}", layer
            if 0 < i < FEATURES:
                yield "pool", self.pool
            yield f"neurons.{i}", neuron
        yield "flat", Flat()
