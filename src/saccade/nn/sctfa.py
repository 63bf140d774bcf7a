"""SCTFA-SNN: Spatial-Channel-Temporal-Fused Attention for Spiking Neural Networks.

Cai, Sun, Liu, Cui, Wang, Xia, Yao, Guo. IEEE TNNLS 2023, arXiv 2209.10837. Released as GuoLab-UESTC/SCTFA-SNN.

The gate is no gate of a sequence: it weighs, at every step, what the neuron remembers, by what it fired before.
"""

from __future__ import annotations

from torch import Tensor, nn

from saccade.nn.attention.contract import check_positive
from saccade.nn.attention.squeeze import Bottleneck
from saccade.nn.neuron import LIF, Neuron


class SCTFA(nn.Module):
    """The gate of the memory, from the spikes s [B, C, H, W] of the step before: [B, C, H, W]

        G(s) = sigmoid(P s + p) * sigmoid(W1 ReLU(W0 mean over H, W of s))

    P [1, C] a 1 x 1 convolution with bias p, one number for every place; W0 [C/r, C], W1 [C, C/r], no biases.

    Args:
        channels: C.
        reduction: r; the hidden width is C // r, at least 1.
    """

    official_keys = (
        (r"(^|\.)fc\.0\.", r"\1mlp.squeeze."),
        (r"(^|\.)fc\.2\.", r"\1mlp.excite."),
        (r"(^|\.)avgconv\.", r"\1place."),
    )

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        check_positive("SCTFA", channels=channels, reduction=reduction)
        self.place = nn.Conv2d(channels, 1, 1)
        self.mlp = Bottleneck(channels, reduction)

    def forward(self, spikes: Tensor) -> Tensor:
        return self.place(spikes).sigmoid() * self.mlp(spikes.mean(dim=(2, 3))).sigmoid()[..., None, None]


class SCTFALIF(Neuron):
    """A LIF neuron whose memory is weighed by what the layer fired, [T, B, C, H, W] -> spikes.

        u_t = decay * G(s_{t-1}) * u_{t-1} * (1 - s_{t-1}) + x_t,   s_t = [u_t > threshold],   from rest

    with decay 0.5 and threshold 0.8. Every step needs the spikes of the one before, so steps run one after the other.

    Args:
        channels: C.
        reduction: of the gate's bottleneck.
        **lif: changes of the neuron, see `LIF`.
    """

    def __init__(self, channels: int, reduction: int = 4, **lif: object) -> None:
        super().__init__()
        self.neuron = LIF.published("sctfa", **lif)
        self.gate = SCTFA(channels, reduction)

    def step(self, x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One step [B, C, H, W]; the state is the memory as the gate left it, G(s_t) * u_t * (1 - s_t)."""
        spikes_t, memory = self.neuron.step(x_t, state)
        return spikes_t, self.gate(spikes_t) * memory
