"""TIM's network: a Spikformer for event frames whose queries interact over time.

Shen, Zhao, Shen, Zeng. TIM: An Efficient Temporal Interaction Module for Spiking Transformer. IJCAI 2024. Released as
BrainCog-X/Brain-Cog, examples/TIM.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from torch import nn

from saccade.models.blocks import NamedResidual, halved, required_size
from saccade.models.registry import register_model
from saccade.models.spikformer import AUTHORS_KEYS, Spikformer
from saccade.models.transformer import split_keys
from saccade.nn.attention.contract import Rules
from saccade.nn.neuron import LIF
from saccade.nn.self_attention import TIMSelfAttention
from saccade.nn.shape import FrameSize

KEYS: Rules = (
    (r"^.*lif\d?\.(?:threshold|act_fun\.alpha)$", ""),
    (r"\.attn\.TIM\.interactor\.", ".attn.attend.tim.conv."),
    *split_keys("conv", "qkv.conv"),
    (r"\.(attn\.proj|mlp\.fc[12])_conv\.", r".\1.conv."),
)


@register_model("tim_spikformer", {"steps": 10, "in_channels": 2, "input_size": (64, 64)})
class TIMSpikformer(Spikformer):
    """`Spikformer` with `TIM` on the queries, and with the neuron `LIF.published("tim")`.

        SSA(x) = LIF(BN(W' LIF_0.5(0.25 v (k^T TIM(q)))))

    The defaults are the released configuration for CIFAR10-DVS. TIM has weights for every token, so the network is
    built for one input size; all four convolutions of the stem pool.

    Args:
        released: thresholds of 1 in TIM and behind the attention, which is what the released code runs: it passes 0.3
            and 0.5 under a name that its neuron ignores, and then lets no query through after the first step.
        **common: those of `Spikformer`, but for `variant`: there is one.
    """

    pools_globally: ClassVar[bool] = False

    def __init__(
        self,
        *,
        dim: int = 256,
        depth: int = 2,
        heads: int = 16,
        pooling: str = "1111",
        released: bool = False,
        **common: Any,
    ) -> None:
        self._released = released
        super().__init__(dim=dim, depth=depth, heads=heads, pooling=pooling, **common)
        if not self.from_authors:
            raise ValueError(f"TIMSpikformer has no variant but 'authors', not {self.variant!r}.")
        self.official_keys = (*KEYS, *AUTHORS_KEYS)

    def neuron(self, threshold: float = 1.0, detach_reset: bool = True) -> LIF:
        return LIF.published("tim", threshold=1.0 if self._released else threshold, backend=self.backend)

    def attention_block(self) -> NamedResidual:
        H, W = self.frame_size
        for pools in self.pooling:
            H, W = (-(-H // 2), -(-W // 2)) if pools == "1" else (H, W)
        product = TIMSelfAttention(self.heads, H * W, self._released)
        return self.spiking_attention(self.dim, product, qkv_bias=False, bias=False)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(H, W) of the input."""
        size = required_size(self)
        halved("TIMSpikformer", size, self.pooling.count("1"))
        return size

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        yield "size", FrameSize("TIMSpikformer", self.frame_size)
        yield from super().trunk()

    def mlp_block(self) -> NamedResidual:
        return self.spiking_mlp(self.dim, bias=True)
