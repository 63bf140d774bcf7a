"""MS-ResNet (membrane shortcut), the backbone of DTA-SNN and of GAC-SNN.

Hu, Deng, Wu, Yao, Li. Advancing Spiking Neural Networks towards Deep Residual Learning. TNNLS 2024, arXiv 2112.08954.
Sizes as in DTA-SNN (WACV 2025, arXiv 2503.10052).
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from saccade.engines import Links, Residual
from saccade.models.blocks import ConvNorm
from saccade.models.network import Classifier
from saccade.models.registry import register_model
from saccade.nn.attention import attention_class
from saccade.nn.neuron import LIF
from saccade.nn.shape import SpaceMean

#: the released blocks register layers twice, as `conv1` and inside `conv1_s`, and norms as `bn` and `seqbn`
BLOCK_KEYS = (
    (r"conv([12])_s\.layer\.module\.weight", r"conv\1.weight"),
    (r"conv([12])_s\.bn\.", r"bn\1."),
    (r"\.(?:bn|seqbn\.module)\.(\w+)$", r".\1"),
    (r"(^|\.)bn([12])\.", r"\1conv\2.norm."),
    (r"(^|\.)conv([12])\.weight$", r"\1conv\2.conv.weight"),
    (r"downsample\.layer\.module\.", "downsample.conv."),
    (r"downsample\.bn\.", "downsample.norm."),
)
STEM_KEYS = (
    (r"^input_conv\.layer\.module\.", "stem.conv."),
    (r"^input_conv\.bn\.", "stem.norm."),
    (r"^conv1\.", "stem."),
    (r"^fc\d?(?:_s)?\.layer\.module\.", "head."),
    (r"^encoding\.", "stem_neuron.attention."),
)


class MSBlock(Residual):
    """x + BN(conv3x3(LIF(BN(conv3x3(LIF(x)))))) on the analog membrane current x, [T, B, C, H, W].

    A change of shape goes through BN(conv1x1(x)). `neuron2` is the neuron between the two convolutions, a plain one
    or one with a gate.
    """

    official_keys = BLOCK_KEYS

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        neuron2: nn.Module | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.neuron1 = LIF(backend=backend)
        self.conv1 = ConvNorm(in_channels, channels, 3, stride)
        self.neuron2 = LIF(backend=backend) if neuron2 is None else neuron2
        self.conv2 = ConvNorm(channels, channels)
        same = stride == 1 and in_channels == channels
        self.downsample = nn.Identity() if same else ConvNorm(in_channels, channels, 1, stride)

    def branches(self) -> tuple[Links, Links]:
        names = "neuron1", "conv1", "neuron2", "conv2"
        shortcut = [] if isinstance(self.downsample, nn.Identity) else [("downsample", self.downsample)]
        return [(name, getattr(self, name)) for name in names], shortcut


@register_model("msresnet18", layout=((128, 3, 1), (256, 3, 2), (512, 2, 2)), stem=(3, 1))
@register_model("msresnet34", layout=((64, 3, 1), (128, 4, 1), (256, 6, 2), (512, 3, 2)), stem=(7, 2))
class MSResNet(Classifier):
    """Stem conv - BN - LIF (gated) - stages of MSBlocks - LIF - average pool - linear, at every step. Any input size.

    Where the gates stand: TLA, CLA and TCJA in every block, on the spikes between its two convolutions
    ("stages.*.neuron2", our reading of TCJA's "under each block", for which no code was released); all others on the
    stem's neuron ("stem_neuron": DTA, GAC). `attention_at` puts them elsewhere.

    Args:
        layout: per stage (channels, blocks, stride).
        stem: (kernel, stride) of the first convolution.
        stem_neuron: False drops the stem's LIF.

    `msresnet34` has the strides that were released (1, 1, 2, 2 after a stem of stride 2: feature maps of 112, 112, 56
    and 28 for 224 x 224 images), which cost about 14 times as much as a ResNet-34's.

    Differs from the released code: with DTA off that code also drops the stem's LIF, so that its baseline differs in
    two things; here that is `stem_neuron=False`, and `attention="none"` changes one thing.
    """

    pools_globally: ClassVar[bool] = True

    def __init__(
        self,
        *,
        layout: tuple[tuple[int, int, int], ...],
        stem: tuple[int, int],
        stem_neuron: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        on_stem = attention_class(self.attention).family != "tcja"
        if on_stem and not stem_neuron and self.attention != "none":
            raise ValueError(
                f"attention={self.attention!r} gates the stem's neuron, which stem_neuron=False removes. Keep "
                'stem_neuron=True, or use attention_at="stages.*.neuron2".'
            )
        layers = [(rf"^layer{i + 4 - len(layout)}\.", f"stages.{i}.") for i in range(len(layout))]
        self.official_keys = (*layers, *BLOCK_KEYS, *STEM_KEYS)

        channels = self.scaled(64)
        self.stem = ConvNorm(self.in_channels, channels, *stem)
        if stem_neuron:
            place = self.gated if on_stem else self.ungated
            self.stem_neuron: nn.Module = place(channels, self._lif())
        else:
            self.stem_neuron = nn.Identity()
        self.stages = nn.Sequential()
        for base, blocks, stride in layout:
            stage = nn.Sequential()
            for i in range(blocks):
                out = self.scaled(base)
                neuron2 = None if on_stem else self.gated(out, self._lif())
                stage.append(MSBlock(channels, out, stride if i == 0 else 1, neuron2, self.backend))
                channels = out
            self.stages.append(stage)
        self.neuron = self._lif()
        self.head = nn.Linear(channels, self.num_classes)

    def _lif(self) -> LIF:
        return LIF(backend=self.backend)

    def links(self) -> Links:
        yield from ((name, getattr(self, name)) for name in ("stem", "stem_neuron", "stages", "neuron"))
        yield "mean", SpaceMean()
        yield "head", self.head
