"""QKFormer: a hierarchical spiking transformer whose first stages attend with binary gates.

Zhou et al. QKFormer: Hierarchical Spiking Transformer using Q-K Attention. NeurIPS 2024, arXiv 2403.16552.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from torch import nn

from saccade.models.blocks import ConvNorm, NamedResidual
from saccade.models.registry import register_model
from saccade.models.transformer import SpikingTransformer, split_keys, token_pool
from saccade.nn.attention.contract import Rules, check_positive
from saccade.nn.self_attention import ChannelQK, SpikingSelfAttention, TokenProduct, TokenQK

STAGES = 3
PRODUCTS = {"token": TokenQK, "channel": ChannelQK}

AUTHORS_KEYS: Rules = (
    (r"^patch_embed1\.proj_(conv|bn)\.", r"stem.\1."),
    (r"^patch_embed1\.proj1_(conv|bn)\.", r"embeds.0.\1."),
    (r"^patch_embed([23])\.proj3_(conv|bn)\.", r"patch_embed\1.\2."),
    (r"^patch_embed([23])\.proj4_(conv|bn)\.", r"patch_embed\1.last_\2."),
    (r"^patch_embed([123])\.proj_res_(conv|bn)\.", r"patch_embed\1.shortcut.\2."),
    (r"^stage([123])\.(\d+)\.t?ssa\.", r"stage\1.\2.attn."),
    (r"\.mlp\.mlp([12])_(conv|bn)\.", r".mlp.fc\1.\2."),
    (r"\.proj_(conv|bn)\.", r".proj.\1."),
)
SPIKINGJELLY_KEYS: Rules = (
    (r"^patch_embed1\.conv1\.", "stem.conv."),
    (r"^patch_embed1\.bn1\.", "stem.bn."),
    (r"^patch_embed1\.(conv|bn)2\.", r"patch_embed1.\1."),
    (r"^patch_embed1\.(conv|bn)3\.", r"patch_embed1.last_\1."),
    (r"^patch_embed([23])\.(conv|bn)1\.", r"patch_embed\1.\2."),
    (r"^patch_embed([23])\.(conv|bn)2\.", r"patch_embed\1.last_\2."),
    (r"\.shortcut\.0\.", ".shortcut.conv."),
    (r"\.shortcut\.1\.", ".shortcut.bn."),
    (r"\.(qk|qkv|proj)_conv_bn\.0\.", r".\1.conv."),
    (r"\.(qk|qkv|proj)_conv_bn\.1\.", r".\1.bn."),
    (r"\.mlp\.fc([12])\.", r".mlp.fc\1.conv."),
    (r"\.mlp\.bn([12])\.", r".mlp.fc\1.bn."),
)
#: what is left of both, from the number of a stage to our names; the first two stages have queries and keys alone
COMMON_KEYS: Rules = (
    (r"^(stage[12]\..*\.)([qk])_(conv|bn)\.", r"\1\2~\3."),
    *((rf"\.{part}~(\w+)\.(.+)$", rf".qk.\1.\2@{i}/2") for i, part in enumerate("qk")),
    *split_keys("conv", "qkv.conv"),
    *split_keys("bn", "qkv.bn"),
    *((rf"^(patch_embed|stage){i + 1}\.", rf"\g<1>s.{i}.") for i in range(STAGES)),
    (r"^patch_embeds\.", "embeds."),
    (r"\.last_conv\.", ".last.conv."),
    (r"\.last_bn\.", ".last.norm."),
    (r"^(embeds\.\d)\.(conv|bn)\.", r"\1.first.\2."),
    (r"\.bn\.", ".norm."),
    (r"^stem\.", "stem.conv."),
    (r"\.shortcut\.", ".shortcut.layer."),
)


@register_model("qkformer", {"steps": 4, "input_size": (32, 32)})
class QKFormer(SpikingTransformer):
    """Three stages of D/4, D/2 and D channels, each an embedding and blocks - mean over tokens - linear.

        block:   x = x + A(x);  x = x + LIF(BN(W2 LIF(BN(W1 x))))
        stages 1, 2:  A(x) = LIF(BN(W' g k)),  g = LIF_0.5(sum over a head's channels of q),  [q; k] = LIF(BN(W x))
        stage 3:      A(x) = Spikformer's SSA
        embedding:    LIF(BN(conv ... LIF(BN(conv x)))) + LIF(BN(conv1x1 x))

    Any input size. The variant "authors" is the released CIFAR network: its first embedding does not pool, so that
    images of 32 x 32 have 1024, 256 and 64 tokens; "spikingjelly" is the ImageNet network, whose first embedding halves
    twice, and the other two once.

    Args:
        dim: D. The defaults are HST-4-384 of the released CIFAR configuration.
        depths: blocks per stage.
        heads: of self attention: one number, or one per stage.
        attention_type: what the gates of the first two stages are of: "token" or "channel".
        **common: those of `SpikingTransformer` and of all networks.

    The gate stands on the stem's neuron; no place is published.

    Differs from the released code: the last neuron of its self attention runs over T * B steps, so that what a sample
    gives depends on its neighbours in the batch; here over T, which is the same for one sample alone.
    """

    divisor: ClassVar[int] = 32

    def __init__(
        self,
        *,
        dim: int = 384,
        depths: Sequence[int] = (1, 1, 2),
        heads: int | Sequence[int] = 8,
        attention_type: str = "token",
        **common: Any,
    ) -> None:
        per_stage = tuple(heads) if isinstance(heads, Sequence) else (heads,) * STAGES
        super().__init__(dim=dim, heads=max(per_stage), **common)
        if not len(depths) == len(per_stage) == STAGES:
            raise ValueError(f"QKFormer has {STAGES} stages, but depths={tuple(depths)} and heads={per_stage}.")
        check_positive("QKFormer", **{f"heads of stage {i + 1}": n for i, n in enumerate(per_stage)})
        if attention_type not in PRODUCTS:
            raise ValueError(f"attention_type must be one of {', '.join(PRODUCTS)}, not {attention_type!r}.")
        self.official_keys = (*(AUTHORS_KEYS if self.from_authors else SPIKINGJELLY_KEYS), *COMMON_KEYS)

        channels = self.dim >> STAGES
        stem = OrderedDict[str, nn.Module](conv=ConvNorm(self.in_channels, channels, bias=not self.from_authors))
        if not self.from_authors:
            stem["pool"] = token_pool()
        stem["neuron"] = self.gated(channels, self._outer())
        self.stem = nn.Sequential(stem)
        self.embeds, self.stages = nn.ModuleList(), nn.ModuleList()
        for i, (depth, count) in enumerate(zip(depths, per_stage, strict=True)):
            out = self.dim >> (STAGES - 1 - i)
            self.embeds.append(self._embedding(i, channels, out))
            self.stages.append(nn.Sequential(*(self._block(i, out, count, attention_type) for _ in range(depth))))
            channels = out
        self.head = nn.Linear(channels, self.num_classes)

    def dim_multiple(self, heads: int) -> int:
        """The first stage has D/4 channels."""
        return max(self.divisor, 4 * heads)

    def _outer(self) -> nn.Module:
        """The neuron outside of self attention."""
        return self.neuron(detach_reset=self.from_authors)

    def _embedding(self, stage: int, channels: int, out: int) -> NamedResidual:
        """The way into a stage. SpikingJelly's pool after the first convolution, the authors' after the second."""
        bias = not self.from_authors
        shrinks = stage > 0 or not self.from_authors
        main = OrderedDict[str, nn.Module](first=ConvNorm(channels, out, bias=bias))
        if not self.from_authors:
            main["pool"] = token_pool()
        main["first_neuron"] = self._outer()
        if shrinks:
            main["last"] = ConvNorm(out, out, bias=bias)
            if self.from_authors:
                main["pool"] = token_pool()
            main["last_neuron"] = self._outer()
        shortcut = ConvNorm(channels, out, 1, 2 if shrinks else 1, bias=bias)
        return NamedResidual(main, nn.Sequential(OrderedDict(layer=shortcut, neuron=self._outer())))

    def _block(self, stage: int, channels: int, heads: int, kind: str) -> nn.Sequential:
        product: TokenProduct = (
            SpikingSelfAttention(heads) if stage == STAGES - 1 else PRODUCTS[kind](heads, self.neuron(0.5))
        )
        attn = self.spiking_attention(channels, product, qkv_bias=False, bias=self.from_authors)
        mlp = self.spiking_mlp(channels, bias=True, detach_reset=self.from_authors)
        return nn.Sequential(OrderedDict(attn=attn, mlp=mlp))

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        yield "stem", self.stem
        for i, (embed, stage) in enumerate(zip(self.embeds, self.stages, strict=True)):
            yield f"embeds.{i}", embed
            yield f"stages.{i}", stage
