"""Time folded into the batch, for layers that know nothing of time."""

from __future__ import annotations

from torch import Tensor, nn


def fold_time(x: Tensor) -> Tensor:
    """[T, B, ...] -> [T*B, ...]; no copy for contiguous memory."""
    return x.flatten(0, 1)


def unfold_time(x: Tensor, steps: int) -> Tensor:
    """[T*B, ...] -> [T, B, ...]; no copy."""
    return x.unflatten(0, (steps, -1))


class TimeFolded(nn.Sequential):
    """Layers applied to every step at once: [T, B, ...] -> [T, B, ...].

    Time is folded into the batch, so batch norms inside see the statistics of all T*B samples, as both papers do.
    """

    def forward(self, x: Tensor) -> Tensor:
        return unfold_time(super().forward(fold_time(x)), x.shape[0])
