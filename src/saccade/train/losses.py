"""The losses of the papers, as pure functions of logits [T, B, K] and targets.

Targets are labels [B] (integer) or distributions over classes [B, K] (floating point, what mixing gives).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from saccade.errors import unknown_name

LossFunction = Callable[[Tensor, Tensor], Tensor]


def cross_entropy_of_mean(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """CE(mean_t logits_t, y): the mean over steps is what predicts."""
    _check(logits, target)
    return F.cross_entropy(logits.mean(0), target, label_smoothing=label_smoothing)


def tet(logits: Tensor, target: Tensor, label_smoothing: float = 0.0, tet_lambda: float = 1e-3) -> Tensor:
    """Temporal efficient training: every step has to be right by itself.

        (1 - l) * mean_t CE(logits_t, y) + l * mean((logits - 1)^2)

    The second term pulls the logits towards the threshold 1. l = `tet_lambda`, 0 to 1.
    Deng, Li, Zhang, Gu. Temporal Efficient Training of Spiking Neural Network via Gradient Re-weighting. ICLR 2022,
    arXiv 2202.11946.
    """
    _check(logits, target)
    T = logits.shape[0]
    # the mean over T * B samples is the mean over steps of the means over the batch
    every_step = F.cross_entropy(
        logits.flatten(0, 1), target.repeat(T, *[1] * (target.ndim - 1)), label_smoothing=label_smoothing
    )
    return (1 - tet_lambda) * every_step + tet_lambda * (logits - 1).square().mean()


def mse_of_rate(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """mean((mean_t logits_t - onehot(y))^2): the mean rate of each output against 1 or 0.

    TCJA-SNN (arXiv 2206.10177), for networks that end in spikes.
    Differs from the paper: its formula squares the difference at each step and averages then; this is what the released
    code computes.
    """
    _check(logits, target)
    K = logits.shape[-1]
    wanted = target if target.is_floating_point() else F.one_hot(target, K)
    wanted = wanted.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / K
    return F.mse_loss(logits.mean(0), wanted)


def _check(logits: Tensor, target: Tensor) -> None:
    if logits.ndim != 3:
        raise ValueError(f"A loss takes logits [T, B, K], but got {list(logits.shape)}.")
    _, B, K = logits.shape
    wanted = [B, K] if target.is_floating_point() else [B]
    if list(target.shape) != wanted:
        raise ValueError(
            f"Logits [T, B, K] = {list(logits.shape)} need integer labels [{B}] or soft targets [{B}, {K}], but the "
            f"target is {list(target.shape)} of {target.dtype}."
        )


def build_loss(name: str, label_smoothing: float = 0.0, tet_lambda: float = 1e-3) -> LossFunction:
    """The loss of an experiment as a function of (logits, target)."""
    if name == "tet":
        return partial(tet, label_smoothing=label_smoothing, tet_lambda=tet_lambda)
    losses = {"ce": cross_entropy_of_mean, "mse": mse_of_rate}
    if name not in losses:
        raise unknown_name("loss", name, [*losses, "tet"])
    return partial(losses[name], label_smoothing=label_smoothing)
