"""MS-ResNet (membrane shortcut), the backbone of DTA-SNN and of GAC-SNN.

Hu, Deng, Wu, Yao, Li. Advancing Spiking Neural Networks towards Deep Residual Learning. TNNLS 2024, arXiv 2112.08954.
Sizes as in DTA-SNN (WACV 2025, arXiv 2503.10052), and those for ImageNet as in GAC-SNN (AAAI 2024, arXiv 2308.06582).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from saccade.engines import Links, Residual
from saccade.models.blocks import ConvNorm
from saccade.models.network import Classifier
from saccade.models.registry import register_model
from saccade.nn.attention import attention_class
from saccade.nn.attention.contract import check_positive
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
    (r"(^|\.)shortcut\.0\.", r"\1downsample.conv."),
    (r"(^|\.)shortcut\.1(?:\.bn)?\.", r"\1downsample.norm."),
)
STEM_KEYS = (
    (r"^conv1\.0\.", "stem.conv."),
    (r"^conv1\.1\.", "stem.norm."),
    (r"^input_conv\.layer\.module\.", "stem.conv."),
    (r"^input_conv\.bn\.", "stem.norm."),
    (r"^conv1\.", "stem."),
    (r"^fc\d?(?:_s)?\.(?:layer\.module\.)?", "head."),
    (r"^encoding\.", "stem_neuron.attention."),
)


class MSBlock(Residual):
    """x + BN(conv3x3(LIF(BN(conv3x3(LIF(x)))))) on the analog membrane current x, [T, B, C, H, W].

    A change of shape goes through BN(conv1x1(x)). `neuron2` is the neuron between the two convolutions, a plain one
    or one with a gate; `neuron` is the kind of the plain ones, a name of `PUBLISHED_NEURONS`.
    """

    official_keys = BLOCK_KEYS

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        neuron2: nn.Module | None = None,
        backend: str = "auto",
        neuron: str = "tet",
    ) -> None:
        super().__init__()
        self.neuron1 = LIF.published(neuron, backend=backend)
        self.conv1 = ConvNorm(in_channels, channels, 3, stride)
        self.neuron2 = LIF.published(neuron, backend=backend) if neuron2 is None else neuron2
        self.conv2 = ConvNorm(channels, channels)
        same = stride == 1 and in_channels == channels
        self.downsample = nn.Identity() if same else ConvNorm(in_channels, channels, 1, stride)

    def branches(self) -> tuple[Links, Links]:
        names = "neuron1", "conv1", "neuron2", "conv2"
        shortcut = [] if isinstance(self.downsample, nn.Identity) else [("downsample", self.downsample)]
        return [(name, getattr(self, name)) for name in names], shortcut


#: GAC-SNN's networks for ImageNet: strides, neuron and first weights of the norms
IMAGENET: dict[str, Any] = {
    "num_classes": 1000,
    "input_size": (224, 224),
    "strides": (2, 2, 2, 2),
    "neuron": "msresnet",
    "norm_start": (0.5, 0.0),
}


@register_model("msresnet18", {"strides": (1, 2, 2)}, layout=((128, 3), (256, 3), (512, 2)), stem=(3, 1))
@register_model("msresnet34", {"strides": (1, 1, 2, 2)}, layout=((64, 3), (128, 4), (256, 6), (512, 3)), stem=(7, 2))
@register_model("msresnet18_imagenet", IMAGENET, layout=((64, 2), (128, 2), (256, 2), (512, 2)), stem=(7, 2))
@register_model("msresnet34_imagenet", IMAGENET, layout=((64, 3), (128, 4), (256, 6), (512, 3)), stem=(7, 2))
class MSResNet(Classifier):
    """Stem conv - BN - LIF (gated) - stages of MSBlocks - LIF - average pool - linear, at every step. Any input size.

    Where the gates stand: TLA, CLA and TCJA in every block, on the spikes between its two convolutions
    ("stages.*.neuron2", our reading of TCJA's "under each block", for which no code was released); all others on the
    stem's neuron ("stem_neuron": DTA, GAC). `attention_at` puts them elsewhere.

    Args:
        layout: per stage (channels, blocks).
        stem: (kernel, stride) of the first convolution.
        stem_neuron: False drops the stem's LIF.
        strides: of the first block of every stage.
        neuron: a name of `PUBLISHED_NEURONS`.
        norm_start: what the weights of the norms start at: all of them, and the last of every block.

    `msresnet34` has the strides that DTA-SNN released (1, 1, 2, 2 after a stem of stride 2: feature maps of 112, 112,
    56 and 28 for 224 x 224 images), which cost about 14 times as much as a ResNet-34's. The networks that GAC-SNN
    released for ImageNet, `msresnet18_imagenet` and `msresnet34_imagenet`, have stride 2 in all four stages, another
    neuron and other first weights; which of the two DTA-SNN's score on ImageNet was measured with is not known to us.

    Differs from the released code: with DTA off that code also drops the stem's LIF, so that its baseline differs in
    two things; here that is `stem_neuron=False`, and `attention="none"` changes one thing.
    """

    pools_globally: ClassVar[bool] = True

    def __init__(
        self,
        *,
        layout: tuple[tuple[int, int], ...],
        stem: tuple[int, int],
        strides: Sequence[int],
        stem_neuron: bool = True,
        neuron: str = "tet",
        norm_start: tuple[float, float] = (1.0, 1.0),
        **common: Any,
    ) -> None:
        super().__init__(**common)
        if len(strides) != len(layout):
            raise ValueError(f"MSResNet: strides={tuple(strides)} must be one for each of the {len(layout)} stages.")
        check_positive("MSResNet", **{f"the stride of stage {i + 1}": n for i, n in enumerate(strides)})
        self._neuron = neuron
        on_stem = attention_class(self.attention).family != "tcja"
        if on_stem and not stem_neuron and self.attention != "none":
            raise ValueError(
                f"attention={self.attention!r} gates the stem's neuron, which stem_neuron=False removes. Keep "
                'stem_neuron=True, or use attention_at="stages.*.neuron2".'
            )
        layers = [(rf"^(?:layer{i + 4 - len(layout)}|conv{i + 2}_x)\.", f"stages.{i}.") for i in range(len(layout))]
        self.official_keys = (*layers, *BLOCK_KEYS, *STEM_KEYS)

        channels = self.scaled(64)
        self.stem = ConvNorm(self.in_channels, channels, *stem)
        if stem_neuron:
            place = self.gated if on_stem else self.ungated
            self.stem_neuron: nn.Module = place(channels, self._lif())
        else:
            self.stem_neuron = nn.Identity()
        self.stages = nn.Sequential()
        for (base, blocks), stride in zip(layout, strides, strict=True):
            stage = nn.Sequential()
            for i in range(blocks):
                out = self.scaled(base)
                neuron2 = None if on_stem else self.gated(out, self._lif())
                stage.append(MSBlock(channels, out, stride if i == 0 else 1, neuron2, self.backend, neuron))
                channels = out
            self.stages.append(stage)
        self.neuron = self._lif()
        self.head = nn.Linear(channels, self.num_classes)
        self._start_norms(*norm_start)

    def _lif(self) -> LIF:
        return LIF.published(self._neuron, backend=self.backend)

    def _start_norms(self, start: float, last: float) -> None:
        blocks = [module for module in self.modules() if isinstance(module, MSBlock)]
        for value, layers in ((start, [self.stem, *blocks]), (last, [block.conv2 for block in blocks])):
            for norm in (m for layer in layers for m in layer.modules() if isinstance(m, nn.BatchNorm2d)):
                nn.init.constant_(norm.weight, value)

    def links(self) -> Links:
        yield from ((name, getattr(self, name)) for name in ("stem", "stem_neuron", "stages", "neuron"))
        yield "mean", SpaceMean()
        yield "head", self.head
