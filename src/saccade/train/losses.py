"""The losses of the papers, as pure functions of logits [T, B, K] and targets.

Targets are labels [B] (integer) or distributions over classes [B, K] (floating point, what mixing gives). A loss of
one's own is such a function under a name:

    @register_loss("hinge")
    def hinge(logits, target, label_smoothing=0.0): ...

It is called with `label_smoothing` and `tet_lambda` of the experiment if it has arguments of these names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from torch import Tensor
from torch.nn import functional as F

from saccade.errors import unknown_name
from saccade.plugins import load_installed

LossFunction = Callable[[Tensor, Tensor], Tensor]
L = TypeVar("L", bound=Callable[..., Tensor])

_REGISTRY: dict[str, Callable[..., Tensor]] = {}


def register_loss(name: str) -> Callable[[L], L]:
    """Decorator: make a function of logits [T, B, K] and targets available as a loss; ValueError for a name twice."""

    def register(function: L) -> L:
        if name in _REGISTRY:
            raise ValueError(f"A loss named {name!r} is already registered ({_REGISTRY[name].__name__}).")
        _REGISTRY[name] = function
        return function

    return register


def list_losses() -> list[str]:
    """The names that `build_loss` takes."""
    load_installed()
    return list(_REGISTRY)


@register_loss("ce")
def cross_entropy_of_mean(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """CE(mean_t logits_t, y): the mean over steps is what predicts."""
    _check(logits, target)
    return F.cross_entropy(logits.mean(0), target, label_smoothing=label_smoothing)


@register_loss("tet")
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


@register_loss("mse")
def mse_of_rate(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """mean((mean_t logits_t - onehot(y))^2): the mean rate of each output against 1 or 0.

    For networks that end in spikes: what TCJA-SNN's released code computes. Its paper writes `mse_of_steps`.
    """
    _check(logits, target)
    return F.mse_loss(logits.mean(0), _wanted(logits, target, label_smoothing))


@register_loss("smse")
def mse_of_steps(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """mean_t mean((logits_t - onehot(y))^2): the output of every step against 1 or 0.

    The spike mean squared error (SMSE) of TCJA-SNN, Zhu et al., IEEE TNNLS 2024, arXiv 2206.10177. It is
    `mse_of_rate` plus the variance of the outputs over time.
    Differs from the released code: that computes `mse_of_rate`.
    """
    _check(logits, target)
    wanted = _wanted(logits, target, label_smoothing)
    return (logits - wanted).square().mean()


def _wanted(logits: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """The outputs [B, K] that a target asks for."""
    K = logits.shape[-1]
    onehot = target if target.is_floating_point() else F.one_hot(target, K)
    return onehot.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / K


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
    """A registered loss as a function of (logits, target), with the options that it takes.

    Raises:
        ValueError: unknown name, or label smoothing for a loss that does not take it.
    """
    if name not in list_losses():
        raise unknown_name("loss", name, _REGISTRY)
    takes = inspect.signature(_REGISTRY[name]).parameters
    if label_smoothing and "label_smoothing" not in takes:
        raise ValueError(f"The loss {name!r} takes no label_smoothing; leave it at 0.")
    options = {"label_smoothing": label_smoothing, "tet_lambda": tet_lambda}
    return partial(_REGISTRY[name], **{option: value for option, value in options.items() if option in takes})
