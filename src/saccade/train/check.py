"""What an experiment's numbers may be: one table of rules, one sentence per mistake. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

from saccade.errors import unknown_name
from saccade.train.config import Experiment

Rule = tuple[Callable[[Any], bool], str]


def _number(test: Callable[[float], bool], text: str) -> Rule:
    def holds(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and test(value)

    return holds, text


def _integer(lowest: int, text: str, *, or_none: bool = False) -> Rule:
    def holds(value: Any) -> bool:
        if value is None:
            return or_none
        return isinstance(value, int) and not isinstance(value, bool) and value >= lowest

    return holds, text


_COUNT = _integer(1, "a whole number, 1 or more")
_COUNT_OR_NONE = _integer(1, "a whole number, 1 or more, or None", or_none=True)
_POSITIVE = _number(lambda v: v > 0, "a finite number above 0")
_NOT_NEGATIVE = _number(lambda v: v >= 0, "a finite number, 0 or more")
_SHARE = _number(lambda v: 0 <= v <= 1, "a number from 0 to 1")
_PART = _number(lambda v: 0 <= v < 1, "a number from 0 up to, but not including, 1")

RULES: dict[str, Rule] = {
    "width": _POSITIVE,
    "steps": _COUNT,
    "image_size": _COUNT_OR_NONE,
    "mix_alpha": _POSITIVE,
    "mix_probability": _SHARE,
    "cutout": _integer(0, "a whole number, 0 or more"),
    "validation": _PART,
    "batch_size": _COUNT,
    "accumulate": _COUNT,
    "workers": _integer(0, "a whole number, 0 or more"),
    "label_smoothing": _PART,
    "tet_lambda": _SHARE,
    "lr": _POSITIVE,
    "momentum": _PART,
    "weight_decay": _NOT_NEGATIVE,
    "epochs": _COUNT,
    "warmup_epochs": _NOT_NEGATIVE,
    "ema_decay": _PART,
    "gradient_clip": _NOT_NEGATIVE,
    "devices": _COUNT_OR_NONE,
    "nodes": _COUNT_OR_NONE,
    "seed": _integer(0, "a whole number, 0 or more"),
    "max_batches": _COUNT_OR_NONE,
}


def check_experiment(experiment: Experiment) -> None:
    """ValueError with one sentence if a field cannot be what it is. Models and data check their names themselves."""
    for name, (holds, text) in RULES.items():
        value = getattr(experiment, name)
        if not holds(value):
            raise ValueError(f"{name} must be {text}, not {value!r}.")
    for name, hint in get_type_hints(Experiment).items():
        choices = get_args(hint)
        value = getattr(experiment, name)
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            raise unknown_name(name, str(value), choices)
    if experiment.warmup_epochs >= experiment.epochs:
        raise ValueError(
            f"warmup_epochs={experiment.warmup_epochs:g} leaves nothing of epochs={experiment.epochs}: "
            f"the warm-up must be shorter than the training."
        )
    if experiment.batch_size % experiment.accumulate:
        raise ValueError(
            f"batch_size={experiment.batch_size} cannot be cut into accumulate={experiment.accumulate} equal parts. "
            f"Choose a batch size that is a multiple of {experiment.accumulate}."
        )
    if experiment.grad_checkpointing and experiment.compile:
        raise ValueError(
            "compile chooses itself what is kept for backward, so grad_checkpointing would do nothing: leave one out."
        )
