"""Squeeze-and-Excitation Networks.

Hu, Shen, Sun. CVPR 2018. arXiv 1709.01507.
"""

from __future__ import annotations

from torch import Tensor

from saccade.nn.attention.contract import ScoreAttention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import Bottleneck


@register_attention("se")
class SE(ScoreAttention):
    """Squeeze and excitation at every step: gate [T, B, C, 1, 1] = sigmoid(W1 ReLU(W0 z)).

    z [T, B, C] is the mean over H, W; W0 [C/r, C], W1 [C, C/r], no biases, as in the paper's formula. The weights are
    shared over time, so sequences of any length are accepted.

    Args:
        reduction: r, 16 in the paper; the hidden width is C // r, at least 1.
    """

    fixed_steps = False
    needs = "means"
    looks_at_steps = "own"
    published_at = "in no spiking network"

    def __init__(self, channels: int, steps: int, reduction: int = 16, placement: str | None = None) -> None:
        super().__init__(channels, steps, placement)
        check_positive("SE", reduction=reduction)
        self.mlp = Bottleneck(channels, reduction)

    def score(self, source: Tensor) -> Tensor:
        return self.mlp(source.mean(dim=(3, 4)))[..., None, None]
