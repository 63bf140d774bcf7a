"""What an experiment's numbers may be: one table of rules, one sentence per mistake. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_type_hints

from saccade.errors import unknown_name
from saccade.train.config import Experiment
from saccade.train.fields import kinds_of, quoted


class Rule(NamedTuple):
    """Which numbers a field takes, of those of its kind (see `saccade.train.fields`)."""

    holds: Callable[[Any], bool]
    text: str
    #: beyond it is a slip: no machine does so much, or no number type keeps it apart
    most: float


def _count(most: float, least: int = 1) -> Rule:
    return Rule(lambda v: v >= least, f"a whole number, {least} or more", most)


def _number(test: Callable[[float], bool], text: str, most: float = 1e6) -> Rule:
    return Rule(test, text, most)


_POSITIVE = _number(lambda v: v > 0, "a finite number above 0")
_NOT_NEGATIVE = _number(lambda v: v >= 0, "a finite number, 0 or more")
_SHARE = _number(lambda v: 0 <= v <= 1, "a number from 0 to 1")
_PART = _number(lambda v: 0 <= v < 1, "a number from 0 up to, but not including, 1")

RULES: dict[str, Rule] = {
    "width": _POSITIVE._replace(most=64),
    "steps": _count(2**16),
    "image_size": _count(2**13),
    "mix_alpha": _number(lambda v: v >= 1e-3, "a finite number, 0.001 or more"),
    "mix_probability": _SHARE,
    "cutout": _count(2**13, least=0),
    "validation": _PART,
    "batch_size": _count(2**24),
    "accumulate": _count(2**24),
    "workers": _count(1024, least=0),
    "label_smoothing": _PART,
    "tet_lambda": _SHARE,
    "lr": _POSITIVE,
    "momentum": _PART,
    "weight_decay": _NOT_NEGATIVE,
    "epochs": _count(1e7),
    "warmup_epochs": _NOT_NEGATIVE,
    "ema_decay": _PART,
    "gradient_clip": _NOT_NEGATIVE._replace(most=1e9),
    "devices": _count(1024),
    "nodes": _count(2**16),
    "seed": _count(2**63 - 1, least=0),
    "max_batches": _count(1e12),
}


def check_experiment(experiment: Experiment) -> None:
    """ValueError with one sentence if a field cannot be what it is. Models and data check their names themselves."""
    for name, kind in kinds_of(Experiment).items():
        value, rule = getattr(experiment, name), RULES.get(name)
        text = kind.text if rule is None else rule.text + (", or None" if kind.holds(None) else "")
        if not kind.holds(value) or (rule is not None and value is not None and not rule.holds(value)):
            raise ValueError(f"{name} must be {text}, not {quoted(value)}.")
        if rule is not None and value is not None and value > rule.most:
            raise ValueError(f"{name} must be {rule.most:,.0f} or less, not {quoted(value)}.")
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
