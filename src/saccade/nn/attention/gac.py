"""GAC-SNN: Gated Attention Coding for Training High-performance and Efficient Spiking Neural Networks.

Qiu, Zhu, Chou, Wang, Deng, Li. AAAI 2024. arXiv 2308.06582.

The network that DTA-SNN starts from: same stem, same place, other scores.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from saccade.nn.attention.contract import ScoreAttention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.attention.squeeze import Bottleneck, SameConv2d
from saccade.nn.folding import fold_time, unfold_time


@register_attention("gac")
class GAC(ScoreAttention):
    """Gated attention coding: gate [T, B, C, H, W] = sigmoid(M * N), of the membrane current x.

        M[t, b]       = W1 ReLU(W0 mean) + W1 ReLU(W0 max),   mean and maximum of x over C, H, W   (temporal)
        N[t, b, c, h, w] = (K1 * ReLU(K0 * x_t))[b, c, h, w]                                       (spatial-channel)

    W0 [T/r, T], W1 [T, T/r]; K0, K1 convolutions k x k from C to C channels, the same at every step, zero padding; an
    even width pads one more on the right and below. No biases.

    Args:
        reduction: r; the hidden width is T // r, at least 1.
        kernel_size: k.

    Agrees with the released module to rounding, defaults included. Differs from it at T = 1, where its hidden width is
    0 and ours 1; and tied maxima share the gradient here.
    """

    source = "current"
    published_at = "after the stem's neuron"
    official_keys = (
        (r"(^|\.)TA\.sharedMLP\.0\.", r"\1mlp.squeeze."),
        (r"(^|\.)TA\.sharedMLP\.2\.", r"\1mlp.excite."),
        (r"(^|\.)SCA\.sharedMLP\.0\.", r"\1conv_in."),
        (r"(^|\.)SCA\.sharedMLP\.2\.", r"\1conv_out."),
    )

    def __init__(
        self, channels: int, steps: int, reduction: int = 2, kernel_size: int = 4, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("GAC", reduction=reduction, kernel_size=kernel_size)
        self.mlp = Bottleneck(steps, reduction)
        self.conv_in = SameConv2d(channels, channels, kernel_size)
        self.conv_out = SameConv2d(channels, channels, kernel_size)

    def score(self, source: Tensor) -> Tensor:
        mean_BT, max_BT = source.mean(dim=(2, 3, 4)).t(), source.amax(dim=(2, 3, 4)).t()
        temporal = (self.mlp(mean_BT) + self.mlp(max_BT)).t()[..., None, None, None]
        spatial_channel = self.conv_out(F.relu(self.conv_in(fold_time(source))))
        return temporal * unfold_time(spatial_channel, source.shape[0])

    def _resize_weights(self, steps: int) -> None:
        self.mlp.resize(steps)
