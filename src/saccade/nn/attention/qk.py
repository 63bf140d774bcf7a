"""QKFormer: Hierarchical Spiking Transformer using Q-K Attention. The binary gate that its queries make.

Zhou, Zhang, Zhou, Yu, et al. NeurIPS 2024. arXiv 2403.16552.
"""

from __future__ import annotations

from torch import Tensor, nn

from saccade.nn.attention.contract import Attention, check_positive
from saccade.nn.attention.registry import register_attention
from saccade.nn.folding import fold_time, unfold_time
from saccade.nn.neuron import LIF


@register_attention("qk")
class QK(Attention):
    """Q-K attention: a gate of zeros and ones, fired by the queries q = LIF(BN(W x)) of the spikes x.

        token:    gate[t, b, head, h, w] = LIF(sum over the head's channels of q)       one for every head and place
        channel:  gate[t, b, c]          = LIF(sum over H, W of q)                      one for every channel

    W [C, C] is a 1 x 1 convolution; the neurons are SpikingJelly's (`LIF.published("spikingjelly")`), that of the gate
    with threshold 0.5. Nothing but zeros and ones leaves. Sequences of any length are accepted.

    Args:
        by: "token" or "channel".
        heads: into how many groups of neighbouring channels the tokens' gate is divided.

    In the paper the keys are gated, LIF(BN(W' x)); as a gate of this library's contract it gates what it is given.
    """

    positive = True
    looks_at_steps = "past"
    fixed_steps = False
    published_at = "inside self attention, on the keys"
    # SpikingJelly's layer makes queries and keys in one convolution: its first half belongs here

    def __init__(
        self, channels: int, steps: int, by: str = "token", heads: int = 1, placement: str | None = None
    ) -> None:
        super().__init__(channels, steps, placement)
        check_positive("QK", heads=heads)
        if by not in ("token", "channel"):
            raise ValueError(f"by must be 'token' or 'channel', not {by!r}.")
        if channels % heads:
            raise ValueError(f"QK: heads={heads} must divide channels={channels}.")
        self.by = by
        self.heads = heads
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.neuron = LIF.published("spikingjelly")
        self.gate_neuron = LIF.published("spikingjelly", threshold=0.5)

    def compute_gate(self, source: Tensor) -> Tensor:
        return self.gate_of_queries(self.neuron(unfold_time(self.norm(self.conv(fold_time(source))), len(source))))

    def gate_of_queries(self, q: Tensor) -> Tensor:
        """The gate, [T, B, C, H, W] or [T, B, C, 1, 1], that queries [T, B, C, H, W] of zeros and ones fire."""
        if self.by == "channel":
            return self.gate_neuron(q.sum(dim=(3, 4), keepdim=True))
        fired = self.gate_neuron(q.unflatten(2, (self.heads, -1)).sum(3))
        return fired.repeat_interleave(self.channels // self.heads, dim=2)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, by={self.by}, heads={self.heads}"
