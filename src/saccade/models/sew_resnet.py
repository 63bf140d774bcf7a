"""SEW-ResNet: spike-element-wise residual networks.

Fang, Yu, Chen, Huang, Masquelier, Tian. Deep Residual Learning in Spiking Neural Networks. NeurIPS 2021,
arXiv 2102.04159. Key names: SpikingJelly's `sew_resnet18/34/50`, which are torchvision's.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from saccade.chain import chain_of
from saccade.engines import Chained, Links, Residual, run
from saccade.models.blocks import ConvNorm
from saccade.models.network import Classifier
from saccade.models.registry import register_model
from saccade.nn.attention.contract import Rules
from saccade.nn.neuron import LIF
from saccade.nn.shape import SpaceMean

CONNECTIONS = ("add", "and", "iand")
BLOCK_KEYS: Rules = (
    (r"(^|\.)downsample\.0\.", r"\1downsample.conv."),
    (r"(^|\.)downsample\.1\.", r"\1downsample.norm."),
    (r"(^|\.)bn([123])\.", r"\1conv\2.norm."),
    (r"(^|\.)conv([123])\.(weight)$", r"\1conv\2.conv.\3"),
)


def new_neuron(backend: str) -> LIF:
    """The paper's integrate-and-fire neuron: no leak, fires at the threshold, ATan, reset detached."""
    return LIF.published("if-atan", backend=backend)


class SEWParts(nn.Module):
    """The layers of a SEW block: one or two branches of convolutions with a spiking neuron behind each.

    Args:
        channels: of the block's inner convolutions.
        expansion: the block gives `expansion * channels`; 1: two 3x3 convolutions, more: 1x1, 3x3, 1x1.
    """

    official_keys = BLOCK_KEYS

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        expansion: int = 1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        out = channels * expansion
        shapes = (
            [(in_channels, channels, 3, stride), (channels, out, 3, 1)]
            if expansion == 1
            else [(in_channels, channels, 1, 1), (channels, channels, 3, stride), (channels, out, 1, 1)]
        )
        for number, shape in enumerate(shapes, 1):
            self.add_module(f"conv{number}", ConvNorm(*shape))
            self.add_module(f"neuron{number}", new_neuron(backend))
        if stride != 1 or in_channels != out:
            self.downsample = ConvNorm(in_channels, out, 1, stride)
            self.downsample_neuron = new_neuron(backend)

    def two_branches(self) -> tuple[Links, Links]:
        """The links of the main branch and of the shortcut."""
        parts = list(self.named_children())
        shortcut = [(name, part) for name, part in parts if name.startswith("downsample")]
        return [part for part in parts if part not in shortcut], shortcut


class SEWBlock(SEWParts, Residual):
    """x + IF(BN(conv3x3(IF(BN(conv3x3(x)))))) of spikes x, [T, B, C, H, W]: small whole numbers come out.

    A change of shape goes through IF(BN(conv1x1(x))).
    """

    def branches(self) -> tuple[Links, Links]:
        return self.two_branches()


class SEWProductBlock(SEWParts, Chained):
    """The same with AND, main * shortcut, or IAND, shortcut * (1 - main): spikes come out.

    Args:
        connection: "and" or "iand".
        **parts: those of `SEWParts`.
    """

    def __init__(self, connection: str, **parts: Any) -> None:
        super().__init__(**parts)
        self.connection = connection

    def links(self) -> Links:
        return self.two_branches()[0]

    def forward(self, x: Tensor) -> Tensor:
        return self._combined(self.run_chain(x), run(chain_of(self.two_branches()[1]), x))

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step [1, B, ...] of a stream; `walk` holds the neurons' states."""
        return self._combined(walk.links(self.chain, x), walk.links(chain_of(self.two_branches()[1]), x))

    def _combined(self, main: Tensor, shortcut: Tensor) -> Tensor:
        return shortcut * (main if self.connection == "and" else 1 - main)

    def extra_repr(self) -> str:
        return f"connection={self.connection}"


def sew_block(connection: str = "add", **parts: Any) -> SEWBlock | SEWProductBlock:
    """A SEW block by its element-wise function: "add", "and" or "iand"; the arguments of `SEWParts`."""
    if connection not in CONNECTIONS:
        raise ValueError(f"connection must be one of {', '.join(CONNECTIONS)}, not {connection!r}.")
    return SEWBlock(**parts) if connection == "add" else SEWProductBlock(connection, **parts)


@register_model("sew_resnet18", {"num_classes": 1000, "input_size": (224, 224)}, depths=(2, 2, 2, 2))
@register_model("sew_resnet34", {"num_classes": 1000, "input_size": (224, 224)}, depths=(3, 4, 6, 3))
@register_model("sew_resnet50", {"num_classes": 1000, "input_size": (224, 224)}, depths=(3, 4, 6, 3), expansion=4)
class SEWResNet(Classifier):
    """conv7x7 stride 2 - BN - IF - max pool 3, 2 - four stages of SEW blocks - mean over H, W - linear, at every step.

    Args:
        depths: blocks per stage; the stages have 64, 128, 256 and 512 channels, times `expansion`.
        connection: the element-wise function of the blocks: "add" (the paper's choice), "and" or "iand".
        small_images: a 3x3 stem of stride 1 without pooling, as ResNets have it for images of 32 x 32; ours, since the
            paper has no network for CIFAR-10 and CIFAR-100.

    The gate stands on the stem's neuron; no place is published. Any input size. The maximum of the first pooling is
    taken of spikes; where they tie, the gradient goes to one of them.
    """

    pools_globally: ClassVar[bool] = True

    def __init__(
        self,
        *,
        depths: tuple[int, ...],
        expansion: int = 1,
        connection: str = "add",
        small_images: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        layers = [(rf"^layer{i + 1}\.", f"stages.{i}.") for i in range(len(depths))]
        stem = ((r"^conv1\.(weight)$", r"stem.conv.\1"), (r"^bn1\.", "stem.norm."), (r"^fc\.", "head."))
        self.official_keys = (*layers, *stem, *BLOCK_KEYS)

        channels = self.scaled(64)
        self.stem = ConvNorm(self.in_channels, channels, *((3, 1) if small_images else (7, 2)))
        self.stem_neuron = self.gated(channels, new_neuron(self.backend))
        self.pool = nn.Identity() if small_images else nn.MaxPool2d(3, 2, 1)
        self.stages = nn.Sequential()
        for i, depth in enumerate(depths):
            inner = self.scaled(64 << i)
            stage = nn.Sequential()
            for j in range(depth):
                stage.append(
                    sew_block(
                        connection,
                        in_channels=channels,
                        channels=inner,
                        stride=2 if i and not j else 1,
                        expansion=expansion,
                        backend=self.backend,
                    )
                )
                channels = inner * expansion
            self.stages.append(stage)
        self.head = nn.Linear(channels, self.num_classes)

    def links(self) -> Links:
        yield from ((name, getattr(self, name)) for name in ("stem", "stem_neuron", "pool", "stages"))
        yield "mean", SpaceMean()
        yield "head", self.head
