"""The max-pooling networks of TCJA-SNN with fully connected spiking layers: gesture, Caltech and Fashion-MNIST.

TCJA-SNN, IEEE TNNLS 2024, arXiv 2206.10177; descended from the networks of PLIF-SNN (ICCV 2021, arXiv 2007.05785).
nC3 is conv3x3 - BN - LIF, MP max pooling by 2, DP dropout. No layer has biases and the LIF has tau = 2, ATan and a
detached reset, but for `vggsnn_caltech_tet`.
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
from saccade.nn.readout import VotingReadout
from saccade.nn.shape import Flat, FrameSize, SequenceDropout

TCJA_44 = {"kernel_time": 4, "kernel_channel": 4}
GESTURE_STAGES = ((128, None), (128, None), (128, None), (128, TCJA_44), (128, TCJA_44))
CALTECH_STAGES = (
    (64, None),
    (128, None),
    (256, None),
    (256, TCJA_44),
    (512, {"kernel_time": 4, "kernel_channel": 2}),
)
CALTECH_TET_STAGES = (*CALTECH_STAGES[:4], (512, TCJA_44))
FASHION_STAGES = ((128, TCJA_44), (128, TCJA_44))


def released_keys(gated: list[bool]) -> tuple[tuple[str, str], ...]:
    """The released networks are one numbered list: per stage a conv, a neuron, perhaps a gate, a pool."""
    rules, n = [], 0
    for i, has_gate in enumerate(gated):
        rules += [(rf"^conv\.{n}\.0\.", f"convs.{i}.conv."), (rf"^conv\.{n}\.1\.", f"convs.{i}.norm.")]
        if has_gate:
            rules.append((rf"^conv\.{n + 2}\.", f"neurons.{i}.attention."))
        n += 4 if has_gate else 3
    return (*rules, (r"^fc\.2\.0\.", "classifier.1."), (r"^fc\.5\.0\.", "classifier.4."))


@register_model(
    "dvsgesture_net",
    {"num_classes": 11, "steps": 20, "in_channels": 2, "input_size": (128, 128)},
    stages=GESTURE_STAGES,
    hidden=512,
    voters=10,
)
@register_model(
    "caltech_net",
    {"num_classes": 101, "steps": 14, "in_channels": 2, "input_size": (180, 240)},
    stages=CALTECH_STAGES,
    hidden=1024,
)
@register_model(
    "caltech_net_tet",
    {"num_classes": 101, "steps": 14, "in_channels": 2, "input_size": (180, 240), "output_neuron": False},
    stages=CALTECH_TET_STAGES,
    hidden=1024,
)
@register_model(
    "fashion_net",
    {"steps": 8, "in_channels": 1, "input_size": (28, 28)},
    stages=FASHION_STAGES,
    hidden=2048,
    voters=10,
)
class PooledConvNet(Classifier):
    """{nC3 [gate] MP} per stage - DP - hidden FC - LIF - DP - FC - [LIF] - [vote], at every step.

    Args:
        stages: per stage (channels, TCJA's kernel widths there or None for no gate).
        hidden: width of the first linear layer.
        voters: neurons per class whose mean is the class's output; 1: no voting.
        dropout: probability of both dropouts; one mask for all steps.
        output_neuron: whether the last linear layer feeds a LIF (rates) or is read as it is.

    `fashion_net` is our reading of the paper's Fashion-MNIST network, for which no code was released: the network of
    PLIF-SNN (128C3-MP twice, 2048FC, voting by 10) with a gate before each pooling. `caltech_net_tet` is one of the two
    released variants trained with TET (tet/caltech101.py): TCJA(4, 4) at both places and no output neuron. The other is
    `vggsnn_caltech_tet`.
    """

    bias: ClassVar[bool] = False
    tcja_kernels = TCJA_44

    def __init__(
        self,
        *,
        stages: tuple[tuple[int, dict[str, int] | None], ...],
        hidden: int,
        voters: int = 1,
        dropout: float = 0.5,
        output_neuron: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.official_keys = released_keys([kernels is not None for _, kernels in stages])
        channels = self.in_channels
        self.convs = nn.ModuleList()
        self.neurons = nn.ModuleList()
        for base, tcja_kernels in stages:
            out = self.scaled(base)
            self.convs.append(ConvNorm(channels, out, bias=self.bias))
            neuron = self._lif() if tcja_kernels is None else self.gated(out, self._lif(), tcja_kernels)
            self.neurons.append(neuron)
            channels = out
        self.pool = TimeFolded(nn.MaxPool2d(2))
        self.frame_size = required_size(self)
        H, W = halved(type(self).__name__, self.frame_size, len(stages))
        width = self.scaled(hidden)
        self.classifier = nn.Sequential(
            SequenceDropout(dropout),
            nn.Linear(channels * H * W, width, bias=self.bias),
            self._lif(),
            SequenceDropout(dropout),
            nn.Linear(width, self.num_classes * voters, bias=self.bias),
            self._lif() if output_neuron else nn.Identity(),
            VotingReadout(voters) if voters > 1 else nn.Identity(),
        )

    def _lif(self) -> LIF:
        return LIF.from_tau(2.0, backend=self.backend)

    def links(self) -> Links:
        yield "size", FrameSize(type(self).__name__, self.frame_size)
        for i, (conv, neuron) in enumerate(zip(self.convs, self.neurons, strict=True)):
            yield from ((f"convs.{i}", conv), (f"neurons.{i}", neuron), ("pool", self.pool))
        yield "flat", Flat()
        yield "classifier", self.classifier


@register_model(
    "vggsnn_caltech_tet",
    {"num_classes": 101, "steps": 14, "in_channels": 2, "input_size": (180, 240), "output_neuron": False},
    stages=CALTECH_TET_STAGES,
    hidden=1024,
)
class BiasedConvNet(PooledConvNet):
    """The other released N-Caltech101 network trained with TET (VGGSNN_TCJA_NCAL in tet/models/VGG_models.py).

    The layers of `caltech_net_tet`, with biases, kaiming fan-out convolutions, and TET's neuron: decay 0.5, gain 1,
    triangle surrogate, reset not detached.
    Differs from the released code: there a dropout mask is drawn once and kept for the whole training, because its
    training script never resets it; here every batch has its own.
    """

    bias = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        places = tuple(enumerate((0, 2, 4, 6, 9)))
        self.official_keys = (
            *((rf"^features\.{n}\.fwd\.module\.0\.", f"convs.{i}.conv.") for i, n in places),
            *((rf"^features\.{n}\.fwd\.module\.1\.", f"convs.{i}.norm.") for i, n in places),
            (r"^features\.7\.", "neurons.3.attention."),
            (r"^features\.10\.", "neurons.4.attention."),
            (r"^classifier_1\.0\.module\.1\.", "classifier.1."),
            (r"^classifier_2\.1\.module\.", "classifier.4."),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _lif(self) -> LIF:
        return LIF(backend=self.backend)
