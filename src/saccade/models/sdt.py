"""Spike-driven Transformer (SDT): membrane shortcuts, and self attention without a product.

Yao et al. Spike-driven Transformer. NeurIPS 2023, arXiv 2307.01694.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import nn

from saccade.engines import Links
from saccade.models.blocks import ConvNorm, NamedResidual
from saccade.models.registry import register_model
from saccade.models.transformer import SpikingTransformer, check_pooling, split_keys, token_pool
from saccade.nn.attention.contract import Rules
from saccade.nn.self_attention import SpikeDrivenSelfAttention, TokenProduct
from saccade.nn.shape import SpaceMean

ATTENTION_KEYS: Rules = (
    (r"(^|\.)talking_heads\.weight$", ""),
    (r"^blocks?\.\d+\.attn$", ""),
    *split_keys("conv", "qkv.conv"),
    *split_keys("bn", "qkv.norm"),
    (r"(^|\.)proj_conv\.", r"\1proj.conv."),
    (r"(^|\.)proj_bn\.", r"\1proj.norm."),
)
AUTHORS_KEYS: Rules = (
    (r"^patch_embed\.rpe_conv\.", "position.conv.conv."),
    (r"^patch_embed\.rpe_bn\.", "position.conv.norm."),
    (r"^patch_embed\.proj_(conv|bn)\.", r"patch_embed.proj_\g<1>0."),
    (r"^patch_embed\.proj_conv(\d)\.", r"stem.\1.conv.conv."),
    (r"^patch_embed\.proj_bn(\d)\.", r"stem.\1.conv.norm."),
    (r"^block\.", "blocks."),
    (r"\.fc([12])_conv\.", r".fc\1.conv."),
    (r"\.fc([12])_bn\.", r".fc\1.norm."),
    *ATTENTION_KEYS,
)
SPIKINGJELLY_KEYS: Rules = (
    (r"^patch_embed\.rpe_conv\.", "position.conv.conv."),
    (r"^patch_embed\.rpe_bn\.", "position.conv.norm."),
    (r"^patch_embed\.final_stage\.", "patch_embed.stages.3."),
    (r"^patch_embed\.stages\.(\d)\.0\.", r"stem.\1.conv.conv."),
    (r"^patch_embed\.stages\.(\d)\.1\.", r"stem.\1.conv.norm."),
    (r"\.mlp\.fc([12])\.", r".mlp.fc\1.conv."),
    (r"\.mlp\.bn([12])\.", r".mlp.fc\1.norm."),
    *ATTENTION_KEYS,
)


@register_model("sdt", {"steps": 4, "input_size": (32, 32)})
class SDT(SpikingTransformer):
    """Stem m - m + BN(conv3x3(LIF(m))) - blocks - LIF(mean over tokens) - linear.

        stem:    three {conv3x3 - BN - LIF - [max pool 3, 2]}, conv3x3 - BN - [max pool 3, 2]
        block:   x = x + SDSA(x);  x = x + BN(W2 LIF(BN(W1 LIF(x))))
        SDSA(x) = BN(W' (g q)),  g = LIF_0.5(sum over the tokens of k v),  [q; k; v] = LIF(BN(W LIF(x)))

    What is added are membrane currents x; every layer but the stem's first reads spikes. Any input size; the stem's
    widths are D/8, D/4, D/2 and D.

    Args:
        dim: D. The defaults are SDT-2-512 of the released CIFAR-10 configuration.
        depth: blocks.
        heads: play no role here, only where the product has them (`statten`).
        pooling: which of the four convolutions pool: "0011" for images of 32 x 32.
        variant: "spikingjelly" has biases in the stem, and a reset that is not detached outside of self attention.
        **common: those of `SpikingTransformer` and of all networks.

    The gate stands on the stem's last neuron, that of its third convolution; no place is published.
    """

    def __init__(self, *, dim: int = 512, depth: int = 2, heads: int = 8, pooling: str = "0011", **common: Any) -> None:
        super().__init__(dim=dim, heads=heads, **common)
        check_pooling(type(self).__name__, pooling)
        self.official_keys = AUTHORS_KEYS if self.from_authors else SPIKINGJELLY_KEYS
        D = self.dim
        self.stem = nn.Sequential()
        channels = self.in_channels
        for i, pools in enumerate(pooling):
            out = D >> (3 - i)
            stage = OrderedDict[str, nn.Module](conv=ConvNorm(channels, out, bias=not self.from_authors))
            if i < 3:
                stage["neuron"] = self.gated(out, self._outer()) if i == 2 else self._outer()
            if pools == "1":
                stage["pool"] = token_pool()
            self.stem.append(nn.Sequential(stage))
            channels = out
        self.position = NamedResidual(OrderedDict(neuron=self._outer(), conv=ConvNorm(D, D)))
        self.blocks = nn.Sequential()
        for _ in range(depth):
            self.blocks.append(nn.Sequential(OrderedDict(attn=self.membrane_attention(D), mlp=self._mlp(D))))
        self.neuron_out = self._outer()
        self.head = nn.Linear(D, self.num_classes)

    def product(self) -> TokenProduct:
        """What is done with queries, keys and values."""
        return SpikeDrivenSelfAttention(neuron=self.neuron(0.5))

    def membrane_attention(self, channels: int) -> NamedResidual:
        """x + BN(W' product(LIF(BN(W LIF(x))))) of membrane currents x."""
        product = self.product()
        main = OrderedDict[str, nn.Module](neuron=self.neuron())
        main["qkv"] = ConvNorm(channels, product.parts * channels, 1)
        main["qkv_neuron"] = self.neuron()
        main["attend"] = product
        if product.looks_at_steps == "all":
            main["attend_neuron"] = self.neuron(0.5)
        main["proj"] = ConvNorm(channels, channels, 1, bias=True)
        return NamedResidual(main)

    def _outer(self) -> nn.Module:
        """The neuron outside of self attention."""
        return self.neuron(detach_reset=self.from_authors)

    def _mlp(self, channels: int) -> NamedResidual:
        hidden = int(channels * self.mlp_ratio)
        return NamedResidual(
            OrderedDict(
                neuron1=self._outer(),
                fc1=ConvNorm(channels, hidden, 1, bias=True),
                neuron2=self._outer(),
                fc2=ConvNorm(hidden, channels, 1, bias=True),
            )
        )

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        return ((name, getattr(self, name)) for name in ("stem", "position", "blocks"))

    def links(self) -> Links:
        yield from self.trunk()
        yield "mean", SpaceMean()
        yield "neuron_out", self.neuron_out
        yield "head", self.head
