"""MA-SNN: attention along time (TA), channels (CA) and space (SA), and one after the other (TCA, TSA, CSA, TCSA).

"Attention Spiking Neural Networks", Yao, Zhao, Zhang, Hu, Deng, Tian, Xu, Li. IEEE TPAMI 2023. arXiv 2209.13929.
Released as BICLab/Attention-SNN; the formulas agree with its modules to rounding.

- Every attention pools over all axes but its own, time included: the channel gate and the spatial gate are the same at
  every step. (`cbam` is the reading that pools within each step.)
- The published place is between norm and neuron, on the current, and what is gated passes a ReLU: inhibition is gone.
  The placement is the default here; the ReLU is `rectify=True`.
- Default reductions and width are those of the authors' DVS128 Gesture network: 5 along time, at T=60; 8 along
  channels; 3x3. A hidden width below 1 becomes 1.

Ties of the maximum, which are the rule between spikes, share the gradient equally; the released code sends it to one of
them. The outputs do not depend on it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.nn.attention.contract import Attention, Rules, ScoreAttention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import Bottleneck, SameConv2d

PUBLISHED_AT = "in every layer, before the neuron"


def mlp_keys(theirs: str, ours: str) -> Rules:
    """The keys of a bottleneck that was released as `sharedMLP`: convolutions 1 x 1 x 1 with a ReLU between."""
    return tuple(
        (rf"(^|\.){theirs}\.sharedMLP\.{i}\.", rf"\1{ours}.{layer}.") for i, layer in ((0, "squeeze"), (2, "excite"))
    )


@register_attention("ta")
class TA(ScoreAttention):
    """Temporal-wise attention: gate [T, B, 1, 1, 1] = sigmoid(W1 ReLU(W0 mean) + W1 ReLU(W0 max)).

    Mean and maximum of the source over C, H, W, [B, T] each; W0 [T/r, T], W1 [T, T/r], no biases.

    Args:
        reduction: r; the hidden width is T // r, at least 1.
        rectify: ReLU behind the gated current, as released.
    """

    published_placement = "current"
    published_at = PUBLISHED_AT
    on_features = "ta"
    official_keys = mlp_keys("ta", "mlp")

    def __init__(
        self, channels: int, steps: int, reduction: int = 5, rectify: bool = False, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TA", reduction=reduction)
        self.rectify = rectify
        self.mlp = Bottleneck(steps, reduction)

    def score(self, source: Tensor) -> Tensor:
        mean_BT, max_BT = source.mean(dim=(2, 3, 4)).t(), source.amax(dim=(2, 3, 4)).t()
        return (self.mlp(mean_BT) + self.mlp(max_BT)).t()[..., None, None, None]

    def _resize_weights(self, steps: int) -> None:
        self.mlp.resize(steps)


@register_attention("ca")
class CA(ScoreAttention):
    """Channel-wise attention: gate [1, B, C, 1, 1] = sigmoid(W1 ReLU(W0 mean) + W1 ReLU(W0 max)).

    Mean and maximum of the source over T, H, W, [B, C] each; W0 [C/r, C], W1 [C, C/r], no biases. Nothing depends on T,
    so sequences of any length are accepted.

    Args:
        reduction: r; the hidden width is C // r, at least 1.
        rectify: ReLU behind the gated current, as released.
    """

    fixed_steps = False
    published_placement = "current"
    published_at = PUBLISHED_AT
    official_keys = mlp_keys("ca", "mlp")

    def __init__(
        self, channels: int, steps: int, reduction: int = 8, rectify: bool = False, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("CA", reduction=reduction)
        self.rectify = rectify
        self.mlp = Bottleneck(channels, reduction)

    def score(self, source: Tensor) -> Tensor:
        mean_BC, max_BC = source.mean(dim=(0, 3, 4)), source.amax(dim=(0, 3, 4))
        return (self.mlp(mean_BC) + self.mlp(max_BC))[None, ..., None, None]


@register_attention("sa")
class SA(ScoreAttention):
    """Spatial-wise attention: gate [1, B, 1, H, W] = sigmoid(conv k x k of [mean; max]).

    Mean and maximum of the source over T and C are the two channels of the convolution; no bias, zero padding. Nothing
    depends on T, so sequences of any length are accepted.

    Args:
        kernel_size: k.
        rectify: ReLU behind the gated current, as released.
    """

    fixed_steps = False
    published_placement = "current"
    published_at = PUBLISHED_AT
    official_keys = ((r"(^|\.)sa\.conv\.", r"\1conv."),)

    def __init__(
        self, channels: int, steps: int, kernel_size: int = 3, rectify: bool = False, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("SA", kernel_size=kernel_size)
        self.rectify = rectify
        self.conv = SameConv2d(2, 1, kernel_size)

    def score(self, source: Tensor) -> Tensor:
        return self.conv(torch.stack((source.mean(dim=(0, 2)), source.amax(dim=(0, 2))), dim=1))[None]


class _InTurn(Attention):
    """Attentions one after the other, each of what the ones before let through: gate = the product of theirs."""

    positive = True
    published_placement = "current"
    published_at = PUBLISHED_AT
    official_keys = (*mlp_keys("ta", "ta.mlp"), *mlp_keys("ca", "ca.mlp"))

    def __init__(self, channels: int, steps: int, placement: str | None, rectify: bool) -> None:
        super().__init__(channels, steps, placement)
        self.rectify = rectify

    def _parts(self) -> list[Attention]:
        return [part for part in self.children() if isinstance(part, Attention)]

    def compute_gate(self, source: Tensor) -> Tensor:
        first, *others = self._parts()
        gate = first.compute_gate(source)
        for part in others:
            gate = gate * part.compute_gate(gate * source)
        return gate

    def _resize_weights(self, steps: int) -> None:
        for part in self._parts():
            part.resize_steps(steps)


@register_attention("tca")
class TCA(_InTurn):
    """Temporal-channel-wise attention: TA, then CA of what TA let through.

        gate [T, B, C, 1, 1] = g_t * g_c,   g_t = TA(x),   g_c = CA(g_t * x)

    Args:
        reduction_time: r of TA.
        reduction_channel: r of CA.
        rectify: ReLU behind the gated current, as released.
    """

    on_features = "ta"

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_time: int = 5,
        reduction_channel: int = 8,
        rectify: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement, rectify)
        check_positive("TCA", reduction_time=reduction_time, reduction_channel=reduction_channel)
        self.ta = TA(channels, steps, reduction_time)
        self.ca = CA(channels, steps, reduction_channel)


@register_attention("tsa")
class TSA(_InTurn):
    """Temporal-spatial-wise attention: TA, then SA of what TA let through.

        gate [T, B, 1, H, W] = g_t * g_s,   g_t = TA(x),   g_s = SA(g_t * x)

    Args:
        reduction_time: r of TA.
        kernel_size: k of SA.
        rectify: ReLU behind the gated current, as released.
    """

    on_features = "ta"

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_time: int = 5,
        kernel_size: int = 3,
        rectify: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement, rectify)
        check_positive("TSA", reduction_time=reduction_time, kernel_size=kernel_size)
        self.ta = TA(channels, steps, reduction_time)
        self.sa = SA(channels, steps, kernel_size)


@register_attention("csa")
class CSA(_InTurn):
    """Channel-spatial-wise attention: CA, then SA of what CA let through. Sequences of any length are accepted.

        gate [1, B, C, H, W] = g_c * g_s,   g_c = CA(x),   g_s = SA(g_c * x)

    Args:
        reduction_channel: r of CA.
        kernel_size: k of SA.
        rectify: ReLU behind the gated current, as released.
    """

    fixed_steps = False

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_channel: int = 8,
        kernel_size: int = 3,
        rectify: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement, rectify)
        check_positive("CSA", reduction_channel=reduction_channel, kernel_size=kernel_size)
        self.ca = CA(channels, steps, reduction_channel)
        self.sa = SA(channels, steps, kernel_size)


@register_attention("tcsa")
class TCSA(_InTurn):
    """Temporal-channel-spatial-wise attention: TA, then CA, then SA, each of what the ones before let through.

        gate [T, B, C, H, W] = g_tc * g_s,   g_tc = TCA(x),   g_s = SA(g_tc * x)

    Args:
        reduction_time: r of TA.
        reduction_channel: r of CA.
        kernel_size: k of SA.
        rectify: ReLU behind the gated current, as released.
    """

    on_features = "ta"

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_time: int = 5,
        reduction_channel: int = 8,
        kernel_size: int = 3,
        rectify: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement, rectify)
        sizes = {"reduction_time": reduction_time, "reduction_channel": reduction_channel, "kernel_size": kernel_size}
        check_positive("TCSA", **sizes)
        self.ta = TA(channels, steps, reduction_time)
        self.ca = CA(channels, steps, reduction_channel)
        self.sa = SA(channels, steps, kernel_size)
