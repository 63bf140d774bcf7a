"""The learning rate over a run, per step of the optimiser.

A schedule is a function of the share of the run that is done, 0 to 1, to the factor on the peak learning rate, under a
name:

    @register_schedule("linear")
    def linear(done): return 1 - done
"""

from __future__ import annotations

import math
from collections.abc import Callable

from saccade.errors import unknown_name
from saccade.plugins import load_installed

ScheduleFunction = Callable[[float], float]

_REGISTRY: dict[str, ScheduleFunction] = {}


def register_schedule(name: str) -> Callable[[ScheduleFunction], ScheduleFunction]:
    """Decorator: make a function of the share that is done, 0 to 1, a schedule; ValueError for a name twice."""

    def register(function: ScheduleFunction) -> ScheduleFunction:
        if name in _REGISTRY:
            raise ValueError(f"A schedule named {name!r} is already registered.")
        _REGISTRY[name] = function
        return function

    return register


def check_schedule(name: str) -> None:
    """ValueError with the nearest names for a schedule that is not registered."""
    load_installed()
    if name not in _REGISTRY:
        raise unknown_name("schedule", name, _REGISTRY)


@register_schedule("cosine")
def cosine(done: float) -> float:
    """(1 + cos(pi * done)) / 2: from the peak to zero."""
    return (1 + math.cos(math.pi * done)) / 2


@register_schedule("constant")
def constant(done: float) -> float:
    """The peak, to the end."""
    return 1.0


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int = 0, schedule: str = "cosine") -> float:
    """Factor on the peak learning rate for step 0, 1, ... of `total_steps`: linear warm-up, then the schedule.

    (step + 1) / w                           for step < w = warmup_steps
    schedule((step - w) / (total - w))       from there on; after the last step, schedule(1)
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return _REGISTRY[schedule](min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps)))
