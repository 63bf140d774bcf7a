"""The control that an attention module has to beat: as many parameters, put into width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from saccade.data import DataInfo
from saccade.train.build import build_model
from saccade.train.config import Experiment

#: the widest control, as a factor on the base's width
MOST = 4.0


def width_matched(experiment: Experiment, info: DataInfo) -> Experiment:
    """The same network without its attention, widened until it has as many parameters.

    All channel counts grow by one factor and are rounded, so the numbers of parameters can differ by what one channel
    more somewhere costs; the nearest is taken.

    Args:
        experiment: with the attention that is to be controlled for.
        info: classes and size of the data.

    Raises:
        ValueError: an unknown attention, or one with more parameters than four times the width would give.
    """
    target = parameters(experiment, info)

    def widened(width: float) -> Experiment:
        return replace(experiment, attention="none", attention_options={}, width=width)

    def count(width: float) -> int:
        return parameters(widened(width), info)

    low, high = bisect(count, target, experiment.width, MOST * experiment.width)
    width = min((low, high), key=lambda w: abs(count(w) - target))
    if count(high) < target:
        raise ValueError(
            f"{experiment.attention} brings {target - count(experiment.width):,} parameters to {experiment.model} at "
            f"width {experiment.width:g}: more than {MOST:g} times the width. There is no width-matched control for it."
        )
    return widened(round(width, 6))


def bisect(count: Callable[[float], int], target: int, low: float, high: float) -> tuple[float, float]:
    """The widths on both sides of where a growing count passes the target, to 1e-5 of the width."""
    while high - low > 1e-5 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if count(middle) >= target else (middle, high)
    return low, high


def parameters(experiment: Experiment, info: DataInfo) -> int:
    """How many parameters an experiment's network has; allocates none."""
    with torch.device("meta"):
        model = build_model(experiment, info)
    return sum(p.numel() for p in model.parameters())
