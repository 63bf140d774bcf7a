"""Multi-dimensional attention: along time (TA), channels (CA), space (SA), and one after the other (TCA, TCSA).

- TA-SNN: "Temporal-wise Attention Spiking Neural Networks for Event Streams Classification", Yao, Gao, Zhao, Wang, Lin,
  Yang, Li. ICCV 2021. arXiv 2107.11711.
- MA-SNN: "Attention Spiking Neural Networks", Yao, Zhao, Zhang, Hu, Deng, Tian, Xu, Li. IEEE TPAMI 2023.
  arXiv 2209.13929.

Readings taken, checked against SpikingJelly 2.0's `MultiDimensionalAttention`, which follows the authors' code by its
own account:

- Every attention pools over all axes but its own, time included: the channel gate and the spatial gate are the same at
  every step. (`cbam` is the reading that pools within each step.)
- Mean and maximum share one bottleneck, and the sigmoid is taken of the sum. TA-SNN's squeeze is reported to be the
  mean alone, and to keep at inference only the steps whose score passes a threshold (not verified by us; neither is
  done here).
- The authors' networks put the attention between convolution and neuron: that is `placement="current"`. They then clip
  the gated current with a ReLU, which would do nothing to spikes; a gate cannot express it, so it is left out.
- Default reductions and width are SpikingJelly's for the authors' DVS128 Gesture network: 5 along time, at T=60; 8
  along channels; 3x3. A hidden width below 1 becomes 1.

Ties of the maximum, which are the rule between spikes, share the gradient equally.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.nn.attention.contract import Attention, ScoreAttention, check_positive
from saccade.nn.attention.squeeze import Bottleneck, SameConv2d


class TA(ScoreAttention):
    """Temporal-wise attention: gate [T, B, 1, 1, 1] = sigmoid(W1 ReLU(W0 mean) + W1 ReLU(W0 max)).

    Mean and maximum of the source over C, H, W, [B, T] each; W0 [T/r, T], W1 [T, T/r], no biases.

    Args:
        reduction: r; the hidden width is T // r, at least 1.
    """

    def __init__(self, channels: int, steps: int, reduction: int = 5, placement: str = "spikes") -> None:
        super().__init__(channels, steps, placement)
        check_positive("TA", reduction=reduction)
        self.mlp = Bottleneck(steps, reduction)

    def score(self, source: Tensor) -> Tensor:
        mean_BT, max_BT = source.mean(dim=(2, 3, 4)).t(), source.amax(dim=(2, 3, 4)).t()
        return (self.mlp(mean_BT) + self.mlp(max_BT)).t()[..., None, None, None]

    def _resize_weights(self, steps: int) -> None:
        self.mlp.resize(steps)


class CA(ScoreAttention):
    """Channel-wise attention: gate [1, B, C, 1, 1] = sigmoid(W1 ReLU(W0 mean) + W1 ReLU(W0 max)).

    Mean and maximum of the source over T, H, W, [B, C] each; W0 [C/r, C], W1 [C, C/r], no biases. Nothing depends on T,
    so sequences of any length are accepted.

    Args:
        reduction: r; the hidden width is C // r, at least 1.
    """

    fixed_steps = False

    def __init__(self, channels: int, steps: int, reduction: int = 8, placement: str = "spikes") -> None:
        super().__init__(channels, steps, placement)
        check_positive("CA", reduction=reduction)
        self.mlp = Bottleneck(channels, reduction)

    def score(self, source: Tensor) -> Tensor:
        mean_BC, max_BC = source.mean(dim=(0, 3, 4)), source.amax(dim=(0, 3, 4))
        return (self.mlp(mean_BC) + self.mlp(max_BC))[None, ..., None, None]


class SA(ScoreAttention):
    """Spatial-wise attention: gate [1, B, 1, H, W] = sigmoid(conv k x k of [mean; max]).

    Mean and maximum of the source over T and C are the two channels of the convolution; no bias, zero padding. Nothing
    depends on T, so sequences of any length are accepted.

    Args:
        kernel_size: k.
    """

    fixed_steps = False

    def __init__(self, channels: int, steps: int, kernel_size: int = 3, placement: str = "spikes") -> None:
        super().__init__(channels, steps, placement)
        check_positive("SA", kernel_size=kernel_size)
        self.conv = SameConv2d(2, 1, kernel_size)

    def score(self, source: Tensor) -> Tensor:
        return self.conv(torch.stack((source.mean(dim=(0, 2)), source.amax(dim=(0, 2))), dim=1))[None]


class TCA(Attention):
    """Temporal-channel-wise attention: TA, then CA of what TA let through.

        gate [T, B, C, 1, 1] = g_t * g_c,   g_t = TA(x),   g_c = CA(g_t * x)

    Args:
        reduction_time: r of TA.
        reduction_channel: r of CA.
    """

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_time: int = 5,
        reduction_channel: int = 8,
        placement: str = "spikes",
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive(type(self).__name__, reduction_time=reduction_time, reduction_channel=reduction_channel)
        self.ta = TA(channels, steps, reduction_time)
        self.ca = CA(channels, steps, reduction_channel)

    def compute_gate(self, source: Tensor) -> Tensor:
        g_t = self.ta.compute_gate(source)
        return g_t * self.ca.compute_gate(g_t * source)

    def _resize_weights(self, steps: int) -> None:
        self.ta.resize_steps(steps)
        self.ca.resize_steps(steps)


class TCSA(TCA):
    """Temporal-channel-spatial-wise attention: TA, then CA, then SA, each of what the ones before let through.

        gate [T, B, C, H, W] = g_tc * g_s,   g_tc = TCA(x),   g_s = SA(g_tc * x)

    Args:
        reduction_time: r of TA.
        reduction_channel: r of CA.
        kernel_size: k of SA.
    """

    def __init__(
        self,
        channels: int,
        steps: int,
        reduction_time: int = 5,
        reduction_channel: int = 8,
        kernel_size: int = 3,
        placement: str = "spikes",
    ) -> None:
        super().__init__(channels, steps, reduction_time, reduction_channel, placement)
        check_positive("TCSA", kernel_size=kernel_size)
        self.sa = SA(channels, steps, kernel_size)

    def compute_gate(self, source: Tensor) -> Tensor:
        g_tc = super().compute_gate(source)
        return g_tc * self.sa.compute_gate(g_tc * source)

    def _resize_weights(self, steps: int) -> None:
        super()._resize_weights(steps)
        self.sa.resize_steps(steps)
