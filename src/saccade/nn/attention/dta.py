"""DTA: Dual Temporal-channel-wise Attention for Spiking Neural Networks.

Kim, Kim, Yang. WACV 2025, pp. 9682-9692. arXiv 2503.10052.

Two attentions of the membrane current X that precedes the spikes: identical operations along both axes (T-XA) and
non-identical, local and global ones on the time-stacked channels (T-NA). DTA multiplies the two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saccade.nn.attention.contract import Rules, ScoreAttention, check_positive, resample
from saccade.nn.attention.tcja import (
    convolve_channels,
    convolve_time,
    resize_channel_conv,
    squeeze_space,
    unsqueeze_space,
)
from saccade.nn.conv1d import SameConv1d

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


class TXA(ScoreAttention):
    """Temporal-channel-wise cross attention (identical operations), score

        (X + a * A_t) * (X + b * A_c),   A_t = sigmoid(conv along channels of z),   A_c = sigmoid(conv along time of z)

    with z the mean of the current X over H, W and learned scalars a, b that start at 1. Alone it gates with
    sigmoid(score).

    Args:
        kernel_channel: width of the convolution along channels, [T, T, 3] by default.
        kernel_time: width of the convolution along time, [C, C, 6] by default.

    Differs from the released code: any number of channels (the released module takes 64 and nothing else).
    """

    source = "current"
    published_at = STEM
    official_keys = TXA_KEYS

    def __init__(
        self, channels: int, steps: int, kernel_channel: int = 3, kernel_time: int = 6, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TXA", kernel_channel=kernel_channel, kernel_time=kernel_time)
        self.scale_channel = nn.Parameter(torch.ones(()))  # a, of the attention from the convolution along channels
        self.scale_time = nn.Parameter(torch.ones(()))  # b, of the one along time
        self.conv_channel = SameConv1d(steps, kernel_channel)
        self.conv_time = SameConv1d(channels, kernel_time)

    def score(self, source: Tensor) -> Tensor:
        z = squeeze_space(source)
        A_t = unsqueeze_space(convolve_channels(z, self.conv_channel).sigmoid())
        A_c = unsqueeze_space(convolve_time(z, self.conv_time).sigmoid())
        return (source + self.scale_channel * A_t) * (source + self.scale_time * A_c)

    def _resize_weights(self, steps: int) -> None:
        resize_channel_conv(self.conv_channel, steps)


class LTCA(nn.Sequential):
    """Local temporal-channel attention: conv1x1(dilated depth-wise conv(depth-wise conv(h))), [B, D, H, W] -> same.

    The decomposition of a large kernel K with dilation d (Guo et al., "Visual Attention Network", arXiv 2202.09741):
    first width 2d - 1, then K // d + (K // d) % 2 - 1 with dilation d. The released K=7, d=3 makes that 5x5 and 1x1,
    a receptive field of 5; K=21 makes it 5x5 and 7x7 dilated by 3, a receptive field of 23.
    """

    def __init__(self, dim: int, kernel_size: int, dilation: int) -> None:
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
            nn.Conv2d(dim, dim, 1),
        )


class GTCA(nn.Sequential):
    """Global temporal-channel attention: W_b ReLU(W_a mean over H, W of h), [B, D] -> [B, D], no bias, no sigmoid."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(nn.Linear(dim, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, dim, bias=False))


class TNA(ScoreAttention):
    """Temporal-channel-wise non-identical attention, score (on X seen as [B, T*C, H, W])

        conv1x1(G * L * h) + X,   h = GELU(conv1x1(X)),   L = LTCA(h),   G = GTCA(mean over H, W of h)

    Alone it gates with sigmoid(score).

    Args:
        kernel_size, dilation: of LTCA's large kernel; see there for what the released 7 and 3 amount to.
        hidden: width of GTCA's bottleneck. Default: D // max(D // 16, 4) with D = T*C, as released; that is 16 for
            every D >= 64 that 16 divides.
        branches: "both" (published), "local" (G = 1) or "global" (L = 1), for the paper's ablation.
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
        self.embed = nn.Conv2d(D, D, 1)
        self.local = LTCA(D, kernel_size, dilation) if branches != "global" else None
        self.pool = GTCA(D, hidden) if branches != "local" else None
        self.project = nn.Conv2d(D, D, 1)

    def score(self, source: Tensor) -> Tensor:
        T, B, C, H, W = source.shape
        x = source.transpose(0, 1).reshape(B, T * C, H, W)
        h = nn.functional.gelu(self._embed_once(source[0]) if T > 1 and source.stride(0) == 0 else self.embed(x))
        product = h
        if self.local is not None:
            product = self.local(h) * product
        if self.pool is not None:
            product = self.pool(h.mean(dim=(2, 3)))[..., None, None] * product
        return (self.project(product) + x).view(B, T, C, H, W).transpose(0, 1)

    def _embed_once(self, image: Tensor) -> Tensor:
        """`embed` of the same image [B, C, H, W] at every step: its weights summed over the steps they read."""
        weight = self.embed.weight.unflatten(1, (self.steps, self.channels)).sum(1)
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
        weight = layer.weight
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


class DTA(ScoreAttention):
    """Dual temporal-channel-wise attention: gate = sigmoid(T-NA(X) * T-XA(X)), one block, right after the stem.

    Args:
        kernel_channel, kernel_time: of T-XA.
        kernel_size, dilation, hidden: of T-NA.
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
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        self.tna = TNA(channels, steps, kernel_size, dilation, hidden)
        self.txa = TXA(channels, steps, kernel_channel, kernel_time)

    def score(self, source: Tensor) -> Tensor:
        return self.tna.score(source) * self.txa.score(source)

    def _resize_weights(self, steps: int) -> None:
        self.tna.resize_steps(steps)
        self.txa.resize_steps(steps)
