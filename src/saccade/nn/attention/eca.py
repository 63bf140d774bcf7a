"""ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks.

Wang, Wu, Zhu, Li, Zuo, Hu. CVPR 2020. arXiv 1910.03151.
"""

from __future__ import annotations

import math

from torch import Tensor

from saccade.nn.attention.contract import ScoreAttention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.conv1d import SameConv1d
from saccade.nn.folding import fold_time, unfold_time


def default_width(channels: int) -> int:
    """The odd number nearest to (log2(C) + 1) / 2 (a tie goes up): gamma = 2 and b = 1 in the paper."""
    return 2 * (math.floor((math.log2(channels) + 1) / 2) // 2) + 1


@register_attention("eca")
class ECA(ScoreAttention):
    """Efficient channel attention at every step: gate [T, B, C, 1, 1] = sigmoid(conv along channels of z).

    z [T, B, C] is the mean over H, W; one kernel [k] slides over the channels, no bias, zero padding. It is shared over
    time, so sequences of any length are accepted.

    Args:
        kernel_channel: k. Default: the odd number nearest to (log2(C) + 1) / 2, as published.
    """

    fixed_steps = False
    needs = "means"
    looks_at_steps = "own"
    published_at = "in no spiking network"

    def __init__(
        self, channels: int, steps: int, kernel_channel: int | None = None, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        width = default_width(channels) if kernel_channel is None else kernel_channel
        check_positive("ECA", kernel_channel=width)
        self.conv = SameConv1d(1, width)

    def score(self, source: Tensor) -> Tensor:
        z = fold_time(source.mean(dim=(3, 4)))
        return unfold_time(self.conv(z[:, None])[:, 0], source.shape[0])[..., None, None]
