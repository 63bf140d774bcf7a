"""Spikformer: the first spiking transformer.

Zhou et al. Spikformer: When Spiking Neural Network Meets Transformer. ICLR 2023, arXiv 2209.15425.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import nn

from saccade.models.blocks import ConvNorm, NamedResidual
from saccade.models.registry import register_model
from saccade.models.transformer import SpikingTransformer, check_pooling, split_keys, token_pool
from saccade.nn.attention.contract import Rules
from saccade.nn.self_attention import SpikingSelfAttention

AUTHORS_KEYS: Rules = (
    (r"^patch_embed\.rpe_conv\.", "position.conv.conv."),
    (r"^patch_embed\.rpe_bn\.", "position.conv.norm."),
    (r"^patch_embed\.proj_(conv|bn)\.", r"patch_embed.proj_\g<1>0."),
    (r"^patch_embed\.proj_conv(\d)\.", r"stem.\1.conv.conv."),
    (r"^patch_embed\.proj_bn(\d)\.", r"stem.\1.conv.norm."),
    (r"\.norm[12]\..*$", ".unused"),
    (r"^block\.\d+\.unused$", ""),
    (r"^block\.", "blocks."),
    *split_keys("linear", "qkv.conv"),
    *split_keys("bn", "qkv.norm"),
    (r"\.(proj|fc1|fc2)_linear\.", r".\1.conv."),
    (r"\.(proj|fc1|fc2)_bn\.", r".\1.norm."),
)
SPIKINGJELLY_KEYS: Rules = (
    (r"^patch_embed\.stages\.(\d)\.conv_bn\.block\.", r"stem.\1.conv."),
    (r"^patch_embed\.positional_encoding\.conv_bn\.block\.", "position.conv."),
    (r"\.attn\.(qkv|proj)_conv_bn\.", r".attn.\1."),
    (r"\.(conv|qkv|proj|fc1|fc2)\.0\.", r".\1.conv."),
    (r"\.(conv|qkv|proj|fc1|fc2)\.1\.", r".\1.norm."),
)


@register_model("spikformer", {"steps": 4, "input_size": (32, 32)})
class Spikformer(SpikingTransformer):
    """Stem of four {conv3x3 - BN - LIF - [max pool 3, 2]} - x + LIF(BN(conv3x3(x))) - blocks - mean - linear.

        block:  x = x + SSA(x);  x = x + LIF(BN(W2 LIF(BN(W1 x))))
        SSA(x) = LIF(BN(W' LIF_0.5(0.125 v (k^T q)))),   [q; k; v] = LIF(BN(W x))

    The sums of spikes are small whole numbers. Any input size; the stem's widths are D/8, D/4, D/2 and D.

    Args:
        dim: D. The default is Spikformer-4-384 of the released CIFAR-10 configuration.
        depth: blocks.
        heads: of self attention.
        pooling: which of the four convolutions pool: "0011" for images of 32 x 32, "1111" for frames of 128 x 128.
        variant: "spikingjelly" pools before the LIF instead of after it, and has no biases in the blocks.
        **common: those of `SpikingTransformer` and of all networks.

    The gate stands on the stem's last neuron; no place is published.
    """

    def __init__(
        self, *, dim: int = 384, depth: int = 4, heads: int = 12, pooling: str = "0011", **common: Any
    ) -> None:
        super().__init__(dim=dim, heads=heads, **common)
        self.pooling = check_pooling("Spikformer", pooling)
        self.official_keys = AUTHORS_KEYS if self.from_authors else SPIKINGJELLY_KEYS
        D = self.dim
        self.stem = nn.Sequential()
        channels = self.in_channels
        for i, pools in enumerate(pooling):
            out = D >> (3 - i)
            stage = OrderedDict[str, nn.Module](conv=ConvNorm(channels, out))
            stage["neuron"] = self.gated(out, self.neuron()) if i == 3 else self.neuron()
            if pools == "1":
                stage["pool"] = token_pool()
            if not self.from_authors:
                stage.move_to_end("neuron")
            self.stem.append(nn.Sequential(stage))
            channels = out
        self.position = NamedResidual(OrderedDict(conv=ConvNorm(D, D), neuron=self.neuron()))
        self.blocks = nn.Sequential()
        for _ in range(depth):
            self.blocks.append(nn.Sequential(OrderedDict(attn=self.attention_block(), mlp=self.mlp_block())))
        self.head = nn.Linear(D, self.num_classes)

    def attention_block(self) -> NamedResidual:
        """x + SSA(x)."""
        bias = self.from_authors
        return self.spiking_attention(self.dim, SpikingSelfAttention(self.heads), qkv_bias=bias, bias=bias)

    def mlp_block(self) -> NamedResidual:
        """x + LIF(BN(W2 LIF(BN(W1 x))))."""
        return self.spiking_mlp(self.dim, bias=self.from_authors)

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        return ((name, getattr(self, name)) for name in ("stem", "position", "blocks"))
