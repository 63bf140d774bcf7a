"""Readouts: how a sequence of outputs becomes a prediction.

All take [T, B, ...]. `VotingReadout` works at every step; the others reduce time.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


def mean_readout(x: Tensor) -> Tensor:
    """Mean over time: [T, B, ...] -> [B, ...]."""
    return x.mean(0)


def membrane_readout(x: Tensor, decay: float = 0.8) -> Tensor:
    """The potential of a neuron that never fires, after the last step: sum over t of decay^(T-1-t) x_t.

    [T, B, ...] -> [B, ...]. The read-out of the fully spiking VAE (Kamata et al., AAAI 2022), decay 0.8.
    """
    steps = x.shape[0]
    weight = decay ** torch.arange(steps - 1, -1, -1, device=x.device, dtype=x.dtype)
    return torch.tensordot(weight, x, dims=([0], [0]))


class VotingReadout(nn.Module):
    """Population vote: each class is the mean of `voters` neighbouring neurons, [T, B, K * voters] -> [T, B, K]."""

    link: ClassVar[str] = "pool"

    def __init__(self, voters: int = 10) -> None:
        super().__init__()
        self.voters = voters

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % self.voters:
            raise ValueError(
                f"VotingReadout groups {self.voters} neurons per class, but the input has {x.shape[-1]} features. "
                f"Give the layer before it num_classes * {self.voters} outputs."
            )
        return x.unflatten(-1, (-1, self.voters)).mean(-1)

    def extra_repr(self) -> str:
        return f"voters={self.voters}"
