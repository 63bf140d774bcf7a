"""DTA: Dual Temporal-channel-wise Attention for Spiking Neural Networks.

Kim, Kim, Yang. WACV 2025, pp. 9682-9692. arXiv 2503.10052.

Two attentions of the membrane current X that precedes the spikes: identical operations along both axes (T-XA) and
non-identical, local and global ones on the time-stacked channels (T-NA). DTA multiplies the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from saccade.nn.attention.contract import Rules, ScoreAttention, check_positive, resample
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.tcja import (
    channel_conv,
    convolve_channels,
    convolve_time,
    resize_channel_conv,
    squeeze_space,
    steps_seen,
    time_conv,
    unsqueeze_space,
)
from saccade.nn.conv1d import LowerConv2d, used_weight

TXA_KEYS: Rules = (
    (r"(^|\.)scale_t$", r"\1scale_channel"),
    (r"(^|\.)scale_c$", r"\1scale_time"),
    (r"(^|\.)conv_t\.", r"\1conv_channel."),
    (r"(^|\.)conv_c\.", r"\1conv_time."),
)
TNA_KEYS: Rules = (
    (r"(^|\.)encoding\.0\.", r"\1embed."),
    (r"(^|\.)tca\.LTCA\.", r"\1local."),
    (r"(^|\.)tca\.MLP_block\.", r"\1pool."),
    (r"(^|\.)decoding\.", r"\1project."),
)
STEM = "after the stem's neuron"


@register_attention("txa")
class TXA(ScoreAttention):
    """Temporal-channel-wise cross attention (identical operations), score

        (X + a * A_t) * (X + b * A_c),   A_t = sigmoid(conv along channels of z),   A_c = sigmoid(conv along time of z)

    with z the mean of the current X over H, W and learned scalars a, b that start at 1. Alone it gates with
    sigmoid(score).

    Args:
        kernel_channel: width of the convolution along channels, [T, T, 3] by default.
        kernel_time: width of the convolution along time, [C, C, 6] by default.
        halves: "both" (published), "temporal" (the score is X + a * A_t) or "channel" (X + b * A_c).
        causal: no step is read before its time (ours): the convolution along time is padded in the past alone, the
            T x T weights are lower triangular.

    Differs from the released code: any number of channels (the released module takes 64 and nothing else).
    """

    source = "current"
    published_at = STEM
    official_keys = TXA_KEYS

    def __init__(
        self,
        channels: int,
        steps: int,
        kernel_channel: int = 3,
        kernel_time: int = 6,
        halves: str = "both",
        causal: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TXA", kernel_channel=kernel_channel, kernel_time=kernel_time)
        if halves not in ("both", "temporal", "channel"):
            raise ValueError(f"halves must be 'both', 'temporal' or 'channel', not {halves!r}.")
        self.halves = halves
        self.looks_at_steps = steps_seen(causal)
        if halves != "channel":
            self.scale_channel = nn.Parameter(torch.ones(()))  # a, of the attention from the convolution along channels
            self.conv_channel = channel_conv(steps, kernel_channel, causal)
        if halves != "temporal":
            self.scale_time = nn.Parameter(torch.ones(()))  # b, of the one along time
            self.conv_time = time_conv(channels, kernel_time, causal)

    def score(self, source: Tensor) -> Tensor:
        z = squeeze_space(source)
        if self.halves == "temporal":
            return self._temporal(source, z)
        if self.halves == "channel":
            return self._channel(source, z)
        return self._temporal(source, z) * self._channel(source, z)

    def _temporal(self, x: Tensor, z: Tensor) -> Tensor:
        A_t = unsqueeze_space(convolve_channels(z, self.conv_channel).sigmoid())
        return x + self.scale_channel * A_t

    def _channel(self, x: Tensor, z: Tensor) -> Tensor:
        A_c = unsqueeze_space(convolve_time(z, self.conv_time).sigmoid())
        return x + self.scale_time * A_c

    def _resize_weights(self, steps: int) -> None:
        if self.halves != "channel":
            resize_channel_conv(self.conv_channel, steps)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, halves={self.halves}"


class LTCA(nn.Sequential):
    """Local temporal-channel attention: conv1x1(dilated depth-wise conv(depth-wise conv(h))), [B, D, H, W] -> same.

    The decomposition of a large kernel K with dilation d (Guo et al., "Visual Attention Network", arXiv 2202.09741):
    first width 2d - 1, then K // d + (K // d) % 2 - 1 with dilation d. The released K=7, d=3 makes that 5x5 and 1x1,
    a receptive field of 5; K=21 makes it 5x5 and 7x7 dilated by 3, a receptive field of 23.
    """

    def __init__(self, dim: int, kernel_size: int, dilation: int, mix: Callable[[], nn.Conv2d]) -> None:
        first = 2 * dilation - 1
        second = kernel_size // dilation
        second += second % 2 - 1
        if second < 1:
            raise ValueError(
                f"kernel_size={kernel_size} is too small for dilation={dilation}: kernel_size // dilation must be "
                f"at least 1. Use kernel_size >= {dilation}."
            )
        super().__init__(
            nn.Conv2d(dim, dim, first, padding=first // 2, groups=dim),
            nn.Conv2d(dim, dim, second, padding=second // 2 * dilation, dilation=dilation, groups=dim),
            mix(),
        )


class GTCA(nn.Sequential):
    """Global temporal-channel attention: W_b ReLU(W_a mean over H, W of h), [B, D] -> [B, D], no bias, no sigmoid."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(nn.Linear(dim, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, dim, bias=False))

    def of_past(self, z: Tensor, steps: int) -> Tensor:
        """The same with the sum over steps in W_a cut at each step: step t of the result reads the steps up to t."""
        squeeze, rectify, excite = self
        assert isinstance(squeeze, nn.Linear)
        assert isinstance(excite, nn.Linear)
        z_BTC, W_a = z.unflatten(1, (steps, -1)), squeeze.weight.unflatten(1, (steps, -1))
        hidden_BTR = rectify(torch.einsum("btc,rtc->btr", z_BTC, W_a).cumsum(1))
        W_b = excite.weight.unflatten(0, (steps, -1))
        return torch.einsum("btr,tcr->btc", hidden_BTR, W_b).flatten(1)


@register_attention("tna")
class TNA(ScoreAttention):
    """Temporal-channel-wise non-identical attention, score (on X seen as [B, T*C, H, W])

        conv1x1(G * L * h) + X,   h = GELU(conv1x1(X)),   L = LTCA(h),   G = GTCA(mean over H, W of h)

    Alone it gates with sigmoid(score).

    Args:
        kernel_size, dilation: of LTCA's large kernel; see there for what the released 7 and 3 amount to.
        hidden: width of GTCA's bottleneck. Default: D // max(D // 16, 4) with D = T*C, as released; that is 16 for
            every D >= 64 that 16 divides.
        branches: "both" (published), "local" (G = 1) or "global" (L = 1), for the paper's ablation.
        causal: no step is read before its time (ours): the 1x1 convolutions, T x T blocks of C x C, are lower
            triangular, and GTCA's first sum at step t ends there.
    """

    source = "current"
    published_at = STEM
    official_keys = TNA_KEYS

    def __init__(
        self,
        channels: int,
        steps: int,
        kernel_size: int = 7,
        dilation: int = 3,
        hidden: int | None = None,
        branches: str = "both",
        causal: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TNA", kernel_size=kernel_size, dilation=dilation)
        if branches not in ("both", "local", "global"):
            raise ValueError(f"branches must be 'both', 'local' or 'global', not {branches!r}.")
        D = steps * channels
        if hidden is None:
            hidden = max(1, D // max(D // 16, 4))
        check_positive("TNA", hidden=hidden)
        self.looks_at_steps = steps_seen(causal)
        mix = partial(LowerConv2d, D, channels) if causal else partial(nn.Conv2d, D, D, 1)
        self.embed = mix()
        self.local = LTCA(D, kernel_size, dilation, mix) if branches != "global" else None
        self.pool = GTCA(D, hidden) if branches != "local" else None
        self.project = mix()

    def score(self, source: Tensor) -> Tensor:
        T, B, C, H, W = source.shape
        x = source.transpose(0, 1).reshape(B, T * C, H, W)
        h = nn.functional.gelu(self._embed_once(source[0]) if T > 1 and source.stride(0) == 0 else self.embed(x))
        product = h
        if self.local is not None:
            product = self.local(h) * product
        if self.pool is not None:
            z = h.mean(dim=(2, 3))
            G = self.pool(z) if self.looks_at_steps == "all" else self.pool.of_past(z, T)
            product = G[..., None, None] * product
        return (self.project(product) + x).view(B, T, C, H, W).transpose(0, 1)

    def _embed_once(self, image: Tensor) -> Tensor:
        """`embed` of the same image [B, C, H, W] at every step: its weights summed over the steps they read."""
        weight = used_weight(self.embed).unflatten(1, (self.steps, self.channels)).sum(1)
        return nn.functional.conv2d(image, weight, self.embed.bias)

    def _resize_weights(self, steps: int) -> None:
        dense: list[Any] = [self.embed, self.project]
        depthwise: list[Any] = []
        if self.local is not None:
            dense.append(self.local[2])
            depthwise += [self.local[0], self.local[1]]
        for conv in dense:
            self._resize_layer(conv, steps, out=True, into=True)
        for conv in depthwise:
            self._resize_layer(conv, steps, out=True, into=False)
        if self.pool is not None:
            self._resize_layer(self.pool[0], steps, out=False, into=True)
            self._resize_layer(self.pool[2], steps, out=True, into=False)

    def _resize_layer(self, layer: Any, steps: int, out: bool, into: bool) -> None:
        """Resample T in a layer's output axis and/or its input axis, both of which are T*C long."""
        weight = used_weight(layer)
        if out:
            weight = self._resize_axis(weight, 0, steps)
            if layer.bias is not None:
                layer.bias = self._resize_axis(layer.bias, 0, steps)
        if into:
            weight = self._resize_axis(weight, 1, steps, summed=True)
        layer.weight = weight
        if isinstance(layer, nn.Conv2d):
            layer.groups = 1 if into else weight.shape[0]
            layer.out_channels, layer.in_channels = weight.shape[0], weight.shape[1] * layer.groups
        else:
            layer.out_features, layer.in_features = weight.shape

    def _resize_axis(self, weight: Tensor, dim: int, steps: int, summed: bool = False) -> nn.Parameter:
        split = weight.unflatten(dim, (self.steps, self.channels))
        resized = resample(split, dim, steps, summed=summed).detach().flatten(dim, dim + 1)
        return nn.Parameter(resized, weight.requires_grad)


@register_attention("dta")
class DTA(ScoreAttention):
    """Dual temporal-channel-wise attention: gate = sigmoid(T-NA(X) * T-XA(X)), one block, right after the stem.

    Args:
        kernel_channel, kernel_time, halves: of T-XA.
        kernel_size, dilation, hidden, branches: of T-NA; `branches="local"` is the paper's T-XA with LTCA, "global"
            T-XA with GTCA.
        causal: of both.
    """

    source = "current"
    published_at = STEM
    official_keys = ((r"(^|\.)T_NA\.", r"\1tna."), (r"(^|\.)T_XA\.", r"\1txa."), *TNA_KEYS, *TXA_KEYS)

    def __init__(
        self,
        channels: int,
        steps: int,
        kernel_channel: int = 3,
        kernel_time: int = 6,
        kernel_size: int = 7,
        dilation: int = 3,
        hidden: int | None = None,
        branches: str = "both",
        halves: str = "both",
        causal: bool = False,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        self.looks_at_steps = steps_seen(causal)
        self.tna = TNA(channels, steps, kernel_size, dilation, hidden, branches, causal)
        self.txa = TXA(channels, steps, kernel_channel, kernel_time, halves, causal)

    def score(self, source: Tensor) -> Tensor:
        return self.tna.score(source) * self.txa.score(source)

    def _resize_weights(self, steps: int) -> None:
        self.tna.resize_steps(steps)
        self.txa.resize_steps(steps)
