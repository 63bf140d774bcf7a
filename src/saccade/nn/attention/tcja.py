"""TCJA-SNN: Temporal-Channel Joint Attention for Spiking Neural Networks.

Zhu, Zhang, Zhao, Deng, Duan, Deng. IEEE TNNLS 36(3), 2024. arXiv 2206.10177.

All three modules squeeze the spikes over space, z[t, b, c] = mean over H, W, and convolve z along one axis while they
sum over the other, so both convolutions see the whole T x C map in one direction.
"""

from __future__ import annotations

from torch import Tensor, nn

from saccade.nn.attention.contract import Rules, ScoreAttention, check_positive, resample
from saccade.nn.attention.registry import register_attention
from saccade.nn.conv1d import LowerConv1d, PastConv1d, SameConv1d, used_weight


def squeeze_space(x: Tensor) -> Tensor:
    """z[t, b, c] = mean over H, W of x[t, b, c, h, w]."""
    return x.mean(dim=(3, 4))


def convolve_time(z_TBC: Tensor, conv: nn.Module) -> Tensor:
    """Slide along time, sum over channels: [T, B, C] -> [T, B, C]."""
    return conv(z_TBC.permute(1, 2, 0)).permute(2, 0, 1)


def convolve_channels(z_TBC: Tensor, conv: nn.Module) -> Tensor:
    """Slide along channels, sum over time: [T, B, C] -> [T, B, C]."""
    return conv(z_TBC.transpose(0, 1)).transpose(0, 1)


def unsqueeze_space(score_TBC: Tensor) -> Tensor:
    """[T, B, C] -> [T, B, C, 1, 1]."""
    return score_TBC[..., None, None]


#: `conv` slides along channels, `conv_c` along time; the TET files wrap `conv` in a list of one
TCJA_KEYS: Rules = ((r"(^|\.)conv(?:\.0)?\.weight$", r"\1conv_channel.weight"), (r"(^|\.)conv_c\.", r"\1conv_time."))


def time_conv(channels: int, kernel: int, causal: bool) -> SameConv1d:
    """The convolution that slides along time; `causal`: step t of its output reads no step after t."""
    return (PastConv1d if causal else SameConv1d)(channels, kernel)


def channel_conv(steps: int, kernel: int, causal: bool) -> SameConv1d:
    """The convolution that slides along channels and sums over time; `causal`: over the steps up to its own."""
    return (LowerConv1d if causal else SameConv1d)(steps, kernel)


def steps_seen(causal: bool) -> str:
    """What `Attention.looks_at_steps` says of a module that mixes time."""
    return "past" if causal else "all"


class JointAttention(ScoreAttention):
    """What TLA, CLA and TCJA are: gates of the spikes' means, one number per step, sample and channel.

    `causal=True` (ours) makes gates of a stream: the convolution along time is padded in the past alone, the T x T
    weights are lower triangular. The parameters are the same, so published weights load; they want training again.
    """

    needs = "means"
    family = "tcja"
    published_at = "after the neurons of the last stages, before their pooling; in MS-ResNet in every block"
    official_keys = TCJA_KEYS


@register_attention("tla")
class TLA(JointAttention):
    """Temporal-wise local attention (TCJA, eq. 5): gate = sigmoid(L).

        L[t, b, c] = sum over c', m of W[c, c', m] z[t + m - pad, b, c'],   pad = (kernel_time - 1) // 2

    Weights [C, C, kernel_time], no bias, zero padding; an even width reads one step more ahead than behind. Nothing
    depends on T, so sequences of any length are accepted.

    Args:
        kernel_time: width of the convolution.
        causal: pad in the past alone, so that no later step is read (ours).

    Differs from the released code: named by the axis that it slides along. The released `kernel_size_c` (and its
    `conv_c`) is this `kernel_time`.
    """

    fixed_steps = False

    def __init__(
        self, channels: int, steps: int, kernel_time: int = 4, causal: bool = False, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TLA", kernel_time=kernel_time)
        self.looks_at_steps = steps_seen(causal)
        self.conv_time = time_conv(channels, kernel_time, causal)

    def score(self, source: Tensor) -> Tensor:
        return unsqueeze_space(convolve_time(squeeze_space(source), self.conv_time))


@register_attention("cla")
class CLA(JointAttention):
    """Channel-wise local attention (TCJA, eq. 6): gate = sigmoid(M).

        M[t, b, c] = sum over t', m of E[t, t', m] z[t', b, c + m - pad],   pad = (kernel_channel - 1) // 2

    Weights [T, T, kernel_channel], no bias, zero padding.

    Args:
        kernel_channel: width of the convolution.
        causal: lower triangular weights, t' up to t, so that no later step is read (ours).

    Differs from the released code: named by the axis that it slides along. The released `kernel_size_t` (and its
    `conv`) is this `kernel_channel`.
    """

    def __init__(
        self, channels: int, steps: int, kernel_channel: int = 4, causal: bool = False, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("CLA", kernel_channel=kernel_channel)
        self.looks_at_steps = steps_seen(causal)
        self.conv_channel = channel_conv(steps, kernel_channel, causal)

    def score(self, source: Tensor) -> Tensor:
        return unsqueeze_space(convolve_channels(squeeze_space(source), self.conv_channel))

    def _resize_weights(self, steps: int) -> None:
        resize_channel_conv(self.conv_channel, steps)


@register_attention("tcja")
class TCJA(JointAttention):
    """Temporal-channel joint attention (TCJA, eq. 7): gate = sigmoid(L * M), the cross-convolutional fusion.

    L is TLA's score and M is CLA's. `fusion="add"` gates with sigmoid(L + M), the paper's ablation.

    Args:
        kernel_time: width of the convolution along time (K_T in the paper).
        kernel_channel: width of the convolution along channels (K_C in the paper).
        fusion: "product" (published) or "add".
        causal: no step is read before its time (ours), see TLA and CLA.
    """

    def __init__(
        self,
        channels: int,
        steps: int,
        kernel_time: int = 4,
        kernel_channel: int = 4,
        fusion: str = "product",
        causal: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TCJA", kernel_time=kernel_time, kernel_channel=kernel_channel)
        if fusion not in ("product", "add"):
            raise ValueError(f"fusion must be 'product' or 'add', not {fusion!r}.")
        self.fusion = fusion
        self.looks_at_steps = steps_seen(causal)
        self.conv_time = time_conv(channels, kernel_time, causal)
        self.conv_channel = channel_conv(steps, kernel_channel, causal)

    def score(self, source: Tensor) -> Tensor:
        z = squeeze_space(source)
        L, M = convolve_time(z, self.conv_time), convolve_channels(z, self.conv_channel)
        return unsqueeze_space(L * M if self.fusion == "product" else L + M)

    def _resize_weights(self, steps: int) -> None:
        resize_channel_conv(self.conv_channel, steps)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, fusion={self.fusion}"


def resize_channel_conv(conv: SameConv1d, steps: int) -> None:
    """Resample a [T, T, k] weight to another T: output axis as it is, input axis summed over."""
    conv.weight = resample(resample(used_weight(conv), 0, steps), 1, steps, summed=True)
    conv.in_channels = conv.out_channels = steps
