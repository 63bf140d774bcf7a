"""FSTA-SNN: Frequency-based Spatial-Temporal Attention Module for Spiking Neural Networks.

Yu, Guo, Zhang, Pan, et al. AAAI 2025. Released as yukairong/FSTA-SNN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.nn.attention.contract import Attention, check_positive, resample
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import SameConv2d

#: width of the convolutions that mix the frequencies
MIX = 7


def cosine_filters(k: int) -> Tensor:
    """The k * k two-dimensional orthonormal DCT-II filters, [k * k, 1, k, k], in float64.

    Filter k * j + i is c_i cos(pi i (2a + 1) / 2k) * c_j cos(pi j (2b + 1) / 2k) at row a, column b, with
    c_0 = sqrt(1 / k) and sqrt(2 / k) else.
    """
    i, a = torch.arange(k, dtype=torch.float64)[:, None], torch.arange(k, dtype=torch.float64)
    waves = torch.cos(math.pi * i * (2 * a + 1) / (2 * k)) * math.sqrt(2 / k)
    waves[0] = math.sqrt(1 / k)
    return torch.einsum("ia,jb->jiab", waves, waves).reshape(k * k, 1, k, k)


@register_attention("fsta")
class FSTA(Attention):
    """Frequency-based spatial-temporal attention: gate [T, B, 1, H, W] = (1 + g) * (m + n * (1 + q)) / 2.

        g[t, b] = sigmoid(mean over c of sum_u A[t, u] (alpha * mean_HW x + beta * max_HW x)[u, b, c])
        q[b]    = sigmoid(E * (D_k * sum_c mean_t x (1 + g)))         D_1 .. D_K: K = k * k fixed DCT filters k x k

    A [T, T]; E a convolution 7 x 7 from K channels to 1, or, with r > 1, K -> K/r, ReLU, K/r -> 1; no biases, zero
    padding. alpha, beta, m and n are learned scalars that start at 0.5, 0.5, 0.6 and 0.5: the gate starts between 0.55
    and 1.6. It is no sigmoid, and nothing keeps it positive.

    Args:
        kernel_size: k, odd; 7 in the authors' script.
        reduction: r, 1 in the authors' script.

    With r = 1 the spatial score is linear in the map that it starts from: the DCT is a fixed change of basis. Differs
    from the released code: the filters are exact where it has decimals that are off by up to 5e-5.
    """

    published_placement = "current"
    published_at = "before every neuron, stem and both of each block"
    official_keys = (
        (r"(^|\.)fc_t\.weight$", r"\1mix_steps"),
        (r"(^|\.)freq_attention\.freq_attention\.0\.", r"\1mix.0."),
        (r"(^|\.)freq_attention\.freq_attention\.2\.", r"\1mix.2."),
        (r"(^|\.)t$", r"\1m"),
        (r"(^|\.)s$", r"\1n"),
        (r"^(?:.*\.)?(?:x|t_scale|s_scale)$", ""),
    )
    filters: Tensor

    def __init__(
        self, channels: int, steps: int, kernel_size: int = 7, reduction: int = 1, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("FSTA", kernel_size=kernel_size, reduction=reduction)
        if kernel_size % 2 == 0:
            raise ValueError(f"FSTA: kernel_size must be odd, so that maps keep their size, not {kernel_size}.")
        self.alpha, self.beta, self.m, self.n = (nn.Parameter(torch.tensor(v)) for v in (0.5, 0.5, 0.6, 0.5))
        self.mix_steps = nn.Parameter(nn.Linear(steps, steps, bias=False).weight.detach())
        filters = cosine_filters(kernel_size)
        self.register_buffer("filters", filters.to(self.mix_steps.dtype), persistent=False)
        K = len(filters)
        if reduction == 1:
            self.mix = nn.Sequential(SameConv2d(K, 1, MIX))
        else:
            hidden = max(1, K // reduction)
            self.mix = nn.Sequential(SameConv2d(K, hidden, MIX), nn.ReLU(), SameConv2d(hidden, 1, MIX))

    def compute_gate(self, source: Tensor) -> Tensor:
        pooled = self.alpha * source.mean(dim=(3, 4)) + self.beta * source.amax(dim=(3, 4))
        scaled = 1 + torch.einsum("tu,ub->tb", self.mix_steps, pooled.mean(2)).sigmoid()[..., None, None, None]
        seen = (source * scaled).mean(0).sum(1, keepdim=True)
        q = self.mix(F.conv2d(seen, self.filters, padding=self.filters.shape[-1] // 2)).sigmoid()
        return scaled * (self.m + self.n * (1 + q)) / 2

    def _resize_weights(self, steps: int) -> None:
        self.mix_steps = resample(resample(self.mix_steps, 0, steps), 1, steps, summed=True)
