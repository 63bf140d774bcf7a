"""Threshold-dependent batch normalisation (tdBN).

Zheng, Wu, Deng, Hu, Li. Going Deeper With Directly-Trained Larger Spiking Neural Networks. AAAI 2021, arXiv 2011.05280.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class ThresholdBatchNorm(_BatchNorm):
    """Batch norm that brings currents to the neuron's scale: on a folded sequence [T*B, C] or [T*B, C, ...]

        y = weight * (alpha * threshold * (x - mean) / sqrt(var + eps)) + bias

    with mean and var over everything but C. The factor keeps the share of currents above the threshold the same
    whatever the threshold is.

    Args:
        channels: C.
        alpha: the paper uses 1, and 1 / sqrt(2) where two branches are added.
        threshold: of the neuron that follows.
    """

    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, channels: int, alpha: float = 1.0, threshold: float = 1.0) -> None:
        super().__init__(channels)
        self.scale = alpha * threshold

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"ThresholdBatchNorm takes folded sequences [T*B, C, ...], but got {list(x.shape)}.")

    def forward(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        if self.training:
            self.num_batches_tracked += 1
        # batch_norm multiplies by the weight after normalising, so the factor can ride on the weight
        weight = self.scale * self.weight
        return F.batch_norm(
            x, self.running_mean, self.running_var, weight, self.bias, self.training, self.momentum, self.eps
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, alpha*threshold={self.scale:g}"
