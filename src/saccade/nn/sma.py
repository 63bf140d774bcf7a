"""SMA: spiking multiscale attention, a layer that mixes four convolutions by attention over time and channels.

Shan, Zhang, Zhu, Qiu, Eshraghian, Qu. Advancing Spiking Neural Networks towards Multiscale Spatiotemporal Interaction
Learning. Released as YmShan/SMA-AZO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.nn.attention.contract import check_positive
from saccade.nn.folding import TimeFolded
from saccade.nn.neuron import LIF


class SMA(nn.Module):
    """Spiking multiscale attention, [T, B, C, H, W] -> same: y = sum_k t_k c_k F_k,  F_k = LIF(BN(conv k x k (x))).

        z = mean_HW sum_k F_k
        c_k[t, b, c] = softmax over k of (P_k ReLU(P z))             P [C/r_c, C],  P_k [C, C/r_c]
        t_k[t, b]    = softmax over k of (Q_k ReLU(Q mean_C z))      Q [T/r_t, T],  Q_k [T, T/r_t]

    with biases everywhere. x is the current of a convolution; y goes on to its batch norm and neuron. The neuron of the
    branches is SpikingJelly's with ATan. Published place: the second and third convolution of a VGG.

    Args:
        channels, steps: C and T.
        kernels: the widths k, odd.
        reduction_channel: r_c; the hidden width is C // r_c, at least 1.
        reduction_time: r_t; the hidden width is T // r_t, at least 1.
        backend: of the neurons.

    Differs from the released code: its zeroing in training (AZO) is left out.
    """

    official_keys = (
        (r"^S_Convs\.(\d+)\.conv\.", r"scales.\1.0."),
        (r"^S_Convs\.(\d+)\.bn\.", r"scales.\1.1."),
        (r"^C_before_attention_conv\.", "squeeze_channel."),
        (r"^C_after_attention_convs\.", "excite_channel."),
        (r"^T_before_attention_conv\.", "squeeze_time."),
        (r"^T_after_attention_convs\.", "excite_time."),
    )

    def __init__(
        self,
        channels: int,
        steps: int,
        kernels: Sequence[int] = (1, 3, 5, 7),
        reduction_channel: int = 16,
        reduction_time: int = 4,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        reductions = {"reduction_channel": reduction_channel, "reduction_time": reduction_time}
        check_positive("SMA", channels=channels, steps=steps, **reductions)
        if not kernels or any(k % 2 == 0 or k < 1 for k in kernels):
            raise ValueError(f"SMA: kernels must be odd widths, so that maps keep their size, not {tuple(kernels)}.")
        self.channels, self.steps = channels, steps
        self.scales = nn.ModuleList(
            TimeFolded(nn.Conv2d(channels, channels, k, padding=k // 2), nn.BatchNorm2d(channels)) for k in kernels
        )
        self.neuron = LIF.published("spikingjelly-atan", backend=backend)
        hidden_c, hidden_t = max(1, channels // reduction_channel), max(1, steps // reduction_time)
        self.squeeze_channel = nn.Linear(channels, hidden_c)
        self.excite_channel = nn.ModuleList(nn.Linear(hidden_c, channels) for _ in kernels)
        self.squeeze_time = nn.Linear(steps, hidden_t)
        self.excite_time = nn.ModuleList(nn.Linear(hidden_t, steps) for _ in kernels)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 5 or (x.shape[0], x.shape[2]) != (self.steps, self.channels):
            raise ValueError(
                f"SMA was built for [T, B, C, H, W] with steps={self.steps} and channels={self.channels}, but got "
                f"{list(x.shape)}."
            )
        fired = [self.neuron(scale(x)) for scale in self.scales]
        z_TBC = torch.stack([spikes.mean(dim=(3, 4)) for spikes in fired]).sum(0)
        by_channel = _shares(self.squeeze_channel, self.excite_channel, z_TBC)
        by_time = _shares(self.squeeze_time, self.excite_time, z_TBC.mean(2).t()).transpose(1, 2)
        weights = (by_channel * by_time[..., None])[..., None, None]
        return torch.stack([weight * spikes for weight, spikes in zip(weights, fired, strict=True)]).sum(0)


def _shares(squeeze: nn.Module, excite: Any, z: Tensor) -> Tensor:
    """Softmax over the scales of what each makes of the same bottleneck: [..., n] -> [scales, ..., n]."""
    hidden = F.relu(squeeze(z))
    return torch.stack([layer(hidden) for layer in excite]).softmax(0)
