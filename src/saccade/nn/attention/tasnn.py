"""TA-SNN: Temporal-wise Attention Spiking Neural Networks for Event Streams Classification.

Yao, Gao, Zhao, Wang, Lin, Yang, Li. ICCV 2021. arXiv 2107.11711. Released as BICLab/TA-SNN.
"""

from __future__ import annotations

from torch import Tensor

from saccade.nn.attention.contract import ScoreAttention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import Bottleneck


@register_attention("tasnn")
class TASNN(ScoreAttention):
    """TA-SNN's temporal-wise attention: gate = sigmoid(V1 ReLU(V0 z + b0) + b1), one number per step and sample.

    z [B, T] is the mean of the source over C, H, W; V0 [T/r, T], V1 [T, T/r]. The gate is shown as [T, B, C, 1, 1],
    equal in all channels. (`ta` is MA-SNN's: mean and maximum, no biases.)

    Args:
        reduction: r, 16 as released; the hidden width is T // r, at least 1.

    The paper drops steps of low score at inference; the released code does not (no threshold appears in it), nor does
    this module.
    """

    needs = "means"
    published_placement = "current"
    published_at = "in every layer, before the neuron"
    on_features = "tasnn"
    official_keys = (
        (r"(^|\.)temporal_excitation\.0\.", r"\1mlp.squeeze."),
        (r"(^|\.)temporal_excitation\.2\.", r"\1mlp.excite."),
    )

    def __init__(self, channels: int, steps: int, reduction: int = 16, placement: str | None = None) -> None:
        super().__init__(channels, steps, placement)
        check_positive("TASNN", reduction=reduction)
        self.mlp = Bottleneck(steps, reduction, bias=True)

    def score(self, source: Tensor) -> Tensor:
        z_BT = source.mean(dim=(2, 3, 4)).t()
        return self.mlp(z_BT).t()[..., None, None, None].expand(-1, -1, self.channels, 1, 1)

    def _resize_weights(self, steps: int) -> None:
        self.mlp.resize(steps)
