"""STSC-SNN: Spatio-Temporal Synaptic Connection with temporal convolution and attention for spiking neural networks.

Yu, Gu, Li, Wang, Wang, Li. Frontiers in Neuroscience, 2022. Released as Tab-ct/STSC-SNN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.nn.attention.contract import Attention, check_positive
from saccade.nn.attention.registry import register_attention


class TemporalFilter(nn.Module):
    """Every channel filtered along time on its own, [T, B, C, ...] -> same: y[t] = sum over i of F[c, i] x[t + i - p].

    p = (kernel - 1) / 2, zeros before the first step and after the last, no bias.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv1d(channels, channels, kernel, groups=channels).weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        k = self.weight.shape[2]
        zeros = x.new_zeros(k // 2, *x.shape[1:])
        padded = torch.cat((zeros, x, zeros))
        taps = self.weight.movedim(2, 0).reshape(k, -1, *[1] * (x.ndim - 3))
        filtered = taps[0] * padded[: len(x)]
        for i in range(1, k):
            filtered = filtered + taps[i] * padded[i : i + len(x)]
        return filtered


@register_attention("stsc")
class STSC(Attention):
    """Spatio-temporal synaptic connection: gate [T, B, C, 1, 1] = 1 - sigmoid(Q h).

        h[t, b] = ReLU(sum_i R_i z[t + i - p, b] + r),   z = mean over H, W of the spikes x

    R [C/r, C, k], Q [C, C/r].

    The gated spikes are gate * x, or, with `filter_time`, gate * (x filtered along time, each channel on its own).
    Sequences of any length are accepted.

    Args:
        kernel_time: k, odd; p = (k - 1) / 2.
        reduction: r; the hidden width is C // r, at least 1.
        filter_time: width of the temporal filter, odd; None: no filter. The authors' network for SHD has 5.

    Differs from the released code: even widths are refused; there they make the sequence a step shorter.
    """

    positive = True
    needs = "means"  # of an instance with a filter: "full", since not the gate alone is multiplied
    fixed_steps = False
    published_at = "on the spikes that enter a layer; released for vectors, before the first linear layer"
    official_keys = (
        (r"(^|\.)(?:spatio_temporal_attention\.)?recv_T\.", r"\1conv_time."),
        (r"(^|\.)(?:spatio_temporal_attention\.)?recv_C\.1\.", r"\1excite."),
        (r"(^|\.)temporal_conv\.conv\.weight$", r"\1filter.weight"),
    )

    def __init__(
        self,
        channels: int,
        steps: int,
        kernel_time: int = 3,
        reduction: int = 1,
        filter_time: int | None = None,
        placement: str | None = None,
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("STSC", kernel_time=kernel_time, reduction=reduction)
        hidden = max(1, channels // reduction)
        _check_odd(kernel_time=kernel_time)
        self.conv_time = nn.Conv1d(channels, hidden, kernel_time, padding=kernel_time // 2)
        self.excite = nn.Linear(hidden, channels, bias=False)
        self.filter: TemporalFilter | None = None
        if filter_time is not None:
            check_positive("STSC", filter_time=filter_time)
            _check_odd(filter_time=filter_time)
            self.filter = TemporalFilter(channels, filter_time)
            self.needs = "full"

    def compute_gate(self, source: Tensor) -> Tensor:
        h = F.relu(self.conv_time(source.mean(dim=(3, 4)).permute(1, 2, 0))).permute(2, 0, 1)
        return 1 - self.excite(h).sigmoid()[..., None, None]

    def forward(self, spikes: Tensor, current: Tensor | None = None) -> Tensor:
        return self.gate(spikes, current) * (spikes if self.filter is None else self.filter(spikes))


def _check_odd(**widths: int) -> None:
    for name, width in widths.items():
        if width % 2 == 0:
            raise ValueError(f"STSC: {name} must be odd, so that a sequence keeps its length, not {width}.")
