"""What the spiking transformers share: their neuron, stems, self attention and multilayer perceptrons on spikes.

Tokens are the pixels of maps [T, B, C, H, W], so that linear layers on tokens are 1 x 1 convolutions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import ClassVar

from torch import nn

from saccade.engines import Links
from saccade.models.blocks import ConvNorm, NamedResidual
from saccade.models.network import Classifier
from saccade.nn.attention.contract import Rules, check_positive
from saccade.nn.neuron import LIF
from saccade.nn.self_attention import TokenProduct
from saccade.nn.shape import SpaceMean

VARIANTS = ("authors", "spikingjelly")
#: queries, keys and values, which the authors compute in three layers, are three parts of one of ours
PARTS = {2: "qk", 3: "qkv"}


class SpikingTransformer(Classifier):
    """Base of the transformers: options, neuron, and the read-out: mean over tokens, linear layer at every step.

    The prediction is the mean over steps, as in the released code, which averages before the linear layer.

    Args:
        dim: channels of the last stage, D.
        heads: of self attention.
        mlp_ratio: hidden channels of the multilayer perceptrons, over their input's.
        variant: "authors", the CIFAR network that was released with the paper, or "spikingjelly", SpikingJelly's.
    """

    pools_globally: ClassVar[bool] = True
    #: D must be a multiple of this and of the heads, for the stem's widths
    divisor: ClassVar[int] = 8

    def __init__(
        self, *, dim: int, heads: int = 8, mlp_ratio: float = 4.0, variant: str = "authors", **common: object
    ) -> None:
        super().__init__(**common)  # type: ignore[arg-type]
        name = type(self).__name__
        check_positive(name, dim=dim, heads=heads)
        if variant not in VARIANTS:
            raise ValueError(f"{name}: variant must be one of {', '.join(VARIANTS)}, not {variant!r}.")
        multiple = self.dim_multiple(heads)
        if dim % multiple:
            raise ValueError(f"{name}: dim={dim} must be a multiple of {multiple}, for heads={heads} and the stem.")
        self.dim = multiple * max(1, round(dim * self.width / multiple))
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.variant = variant

    def dim_multiple(self, heads: int) -> int:
        """What D must be a multiple of."""
        return next(n for n in range(self.divisor, self.divisor * heads + 1, self.divisor) if n % heads == 0)

    @property
    def from_authors(self) -> bool:
        """Whether this is the network that was released with the paper."""
        return self.variant == "authors"

    def neuron(self, threshold: float = 1.0, detach_reset: bool = True) -> LIF:
        """The transformers' neuron: tau = 2 with input decay, fires at the threshold, sigmoid surrogate."""
        return LIF.published("spikingjelly", threshold=threshold, detach_reset=detach_reset, backend=self.backend)

    def spiking_attention(self, channels: int, product: TokenProduct, qkv_bias: bool, bias: bool) -> NamedResidual:
        """x + LIF(BN(W' [LIF](product(LIF(BN(W x)))))) of spikes x.

        A product that is not fired itself passes a neuron of threshold 0.5.
        """
        part = PARTS[product.parts]
        main = OrderedDict[str, nn.Module]()
        main[part] = ConvNorm(channels, product.parts * channels, 1, bias=qkv_bias)
        main[f"{part}_neuron"] = self.neuron()
        main["attend"] = product
        if product.parts == len("qkv"):
            main["attend_neuron"] = self.neuron(0.5)
        main["proj"] = ConvNorm(channels, channels, 1, bias=bias)
        main["neuron"] = self.neuron()
        return NamedResidual(main)

    def spiking_mlp(self, channels: int, bias: bool, detach_reset: bool = True) -> NamedResidual:
        """x + LIF(BN(W2 LIF(BN(W1 x)))) of spikes x."""
        hidden = int(channels * self.mlp_ratio)
        return NamedResidual(
            OrderedDict(
                fc1=ConvNorm(channels, hidden, 1, bias=bias),
                neuron1=self.neuron(detach_reset=detach_reset),
                fc2=ConvNorm(hidden, channels, 1, bias=bias),
                neuron2=self.neuron(detach_reset=detach_reset),
            )
        )

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        """The links from the image to the tokens of the last block."""
        raise NotImplementedError(f"{type(self).__name__} must implement trunk().")

    def links(self) -> Links:
        yield from self.trunk()
        yield "mean", SpaceMean()
        yield "head", self.get_submodule("head")


def check_pooling(name: str, pooling: str) -> str:
    """Which of four convolutions of a stem pool, as "0011"; ValueError for anything else."""
    if len(pooling) != 4 or set(pooling) - set("01"):
        raise ValueError(f'{name}: pooling says which of four convolutions pool, such as "0011", not {pooling!r}.')
    return pooling


def token_pool() -> nn.MaxPool2d:
    """The transformers' pooling: the largest of 3 x 3, at every second pixel."""
    return nn.MaxPool2d(3, 2, 1)


def split_keys(theirs: str, ours: str, parts: str = "qkv") -> Rules:
    """The keys of layers `q_THEIRS`, `k_THEIRS`, ... as parts of our one layer; see `models.official`."""
    return tuple((rf"(^|\.){part}_{theirs}\.(.+)$", rf"\1{ours}.\2@{i}/{len(parts)}") for i, part in enumerate(parts))
