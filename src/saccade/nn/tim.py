"""TIM: An Efficient Temporal Interaction Module for Spiking Transformer.

Shen, Zhao, Shen, Zeng. IJCAI 2024. Released as BrainCog-X/Brain-Cog, examples/TIM.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saccade.nn.attention.contract import check_positive
from saccade.nn.neuron import LIF

WIDTH = 5
#: y of the step before, and the potentials of the two neurons
TIMState = tuple[Tensor, Tensor, Tensor]


class TIM(nn.Module):
    """Temporal interaction of the queries of a self attention, spikes [T, B, heads, N, d] -> same:

        y_0 = q_0;   c_t = LIF_in(conv(y_{t-1}));   y_t = LIF_out(a * c_t + (1 - a) * q_t)

    conv: width 5, zero padding 2, bias, N channels in and out, along d. The neurons are `LIF.published("tim")`: no
    gradient flows through time but by y. Steps run one after the other.

    Args:
        tokens: N.
        alpha: a.
        released: thresholds of 1, which is what the released code runs: it passes 0.3 (LIF_in) and 0.5 (LIF_out) under
            a name that its neuron ignores. LIF_out then never fires: there are no queries after the first step.
    """

    official_keys = (
        (r"(^|\.)interactor\.", r"\1conv."),
        (r"^.*lif\.(?:threshold|act_fun\.alpha)$", ""),
    )

    def __init__(self, tokens: int, alpha: float = 0.5, released: bool = False) -> None:
        super().__init__()
        check_positive("TIM", tokens=tokens)
        self.alpha = alpha
        self.conv = nn.Conv1d(tokens, tokens, WIDTH, padding=WIDTH // 2)
        self.neuron_in = LIF.published("tim", threshold=1.0 if released else 0.3)
        self.neuron_out = LIF.published("tim", threshold=1.0 if released else 0.5)

    def forward(self, q: Tensor) -> Tensor:
        if q.ndim != 5 or q.shape[3] != self.conv.in_channels:
            raise ValueError(
                f"TIM was built for queries [T, B, heads, N, d] with tokens={self.conv.in_channels}, but got "
                f"{list(q.shape)}."
            )
        state, y = None, []
        for q_t in q:
            y_t, state = self.step(q_t, state)
            y.append(y_t)
        return torch.stack(y)

    def step(self, q_t: Tensor, state: TIMState | None = None) -> tuple[Tensor, TIMState]:
        """One step [B, heads, N, d] from the state that the step before left (None: rest)."""
        if state is None:
            rest = torch.zeros_like(q_t)
            return q_t, (q_t, rest, rest)
        before, v_in, v_out = state
        mixed = self.conv(before.flatten(0, 1)).view_as(q_t)
        c_t, v_in = self.neuron_in.step(mixed, v_in)
        y_t, v_out = self.neuron_out.step(self.alpha * c_t + (1 - self.alpha) * q_t, v_out)
        return y_t, (y_t, v_in, v_out)
