"""Which runs an ablation has: every combination of the varied values, each with the same seeds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from saccade.errors import unknown_name
from saccade.train.config import Experiment, Value, parse_value

MATCHED = "matched:"
"""`attention=matched:dta` is no attention, in a network made as much wider as DTA has parameters."""
#: these are the grid's own
FIXED = ("recipe", "seed")
#: fields whose entries can be varied
OPTIONS = ("attention_options", "model_options")

#: an experiment with attention -> its width-matched control
Widen = Callable[[Experiment], Experiment]


@dataclass(frozen=True)
class Cell:
    """One run of a grid: the values that were varied, as they were written, and the experiment they make."""

    varied: Mapping[str, str]
    experiment: Experiment
    #: for its folder, where the values would make a long one
    short: str | None = None

    @property
    def label(self) -> str:
        """What sets it apart, the seed apart."""
        return label(self.varied)

    @property
    def name(self) -> str:
        """Name of its folder and of its record."""
        stem = self.short or re.sub(r"[^A-Za-z0-9.=]+", "-", self.label).strip("-")
        return f"{stem}-seed{self.experiment.seed}"


def make_cell(base: Experiment, varied: Mapping[str, str], seed: int, widen: Widen, short: str | None = None) -> Cell:
    """The run of some values with a seed."""
    return Cell(varied, replace(vary(base, varied, widen), seed=seed), short)


@dataclass(frozen=True)
class Grid:
    """A base experiment, the values of the fields that vary, and the number of seeds, from the base's own upwards."""

    base: Experiment
    vary: Mapping[str, Sequence[str]]
    seeds: int

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"An ablation needs 1 seed or more, not seeds={self.seeds}.")
        if not self.vary:
            raise ValueError("An ablation varies something: add --vary, e.g. --vary attention=none,tcja,dta.")

    def cells(self, widen: Widen) -> list[Cell]:
        """All runs, seed by seed, so that a grid that was stopped early can be compared as far as it goes.

        Args:
            widen: makes the width-matched control of an experiment; called once per control.
        """
        combinations = [dict(zip(self.vary, values, strict=True)) for values in itertools.product(*self.vary.values())]
        variants = [(varied, vary(self.base, varied, widen)) for varied in combinations]
        seeds = range(self.base.seed, self.base.seed + self.seeds)
        found = [Cell(varied, replace(experiment, seed=seed)) for seed in seeds for varied, experiment in variants]
        if len({cell.name for cell in found}) != len(found):
            raise ValueError("Two of the varied values are the same: every value may be named once.")
        return found


def label(varied: Mapping[str, str]) -> str:
    """ "tcja", or "attention=tcja, steps=4" where several fields vary."""
    if len(varied) == 1:
        return next(iter(varied.values()))
    return ", ".join(f"{name}={value}" for name, value in varied.items())


def parse_vary(words: Sequence[str]) -> dict[str, list[str]]:
    """`["attention=none,dta", "steps=2,4"]` -> `{"attention": ["none", "dta"], "steps": ["2", "4"]}`."""
    found = parse_words(words, "--vary", "FIELD=VALUE,VALUE,..., e.g. attention=none,tcja,dta")
    return {name: values.split(",") for name, values in found.items()}


def parse_words(words: Sequence[str], option: str, form: str) -> dict[str, str]:
    """`["lr=0.1,0.2"]` -> `{"lr": "0.1,0.2"}`; `form` says what an option takes, for the error."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, values = word.partition("=")
        name, values = name.replace("-", "_"), ",".join(value for value in values.split(",") if value)
        if not equals or not values:
            raise ValueError(f"{option} takes {form}, not {word!r}.")
        if name in found:
            raise ValueError(f"{name} is varied twice; name all its values in one {option}.")
        found[name] = values
    return found


def check_fields(base: Experiment, names: Iterable[str]) -> None:
    """ValueError for a name that is no field to vary."""
    for name in names:
        field, _, entry = name.partition(".")
        if not (field in OPTIONS and entry):
            _as_field(base, field, "")


def vary(base: Experiment, varied: Mapping[str, str], widen: Widen) -> Experiment:
    """The base with other values in some fields; "attention_options.kernel_time" is an entry of such a field.

    An attention other than the base's starts without the base's attention options, as in `saccade train`.
    """
    changes: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {name: {} for name in OPTIONS}
    for name, word in varied.items():
        field, _, entry = name.partition(".")
        if field in options and entry:
            options[field][entry] = _guess(word)
        else:
            changes[field] = _as_field(base, field, word)
    attention = changes.get("attention", base.attention)
    matched = attention.startswith(MATCHED)
    if matched:
        attention = changes["attention"] = attention.removeprefix(MATCHED)
    kept = base.attention_options if attention == base.attention else {}
    changes["attention_options"] = {**kept, **options["attention_options"]}
    changes["model_options"] = {**base.model_options, **options["model_options"]}
    experiment = replace(base, **changes)
    return widen(experiment) if matched else experiment


def _as_field(base: Experiment, name: str, word: str) -> Any:
    known = [f.name for f in fields(Experiment) if f.name not in FIXED and not f.name.endswith("_options")]
    if name not in known:
        dotted = ["attention_options.NAME", "model_options.NAME"]
        raise unknown_name("field to vary", name, [*known, *dotted])
    if isinstance(getattr(base, name), str):
        return word
    return _guess(word)


def _guess(word: str) -> Value | None:
    return None if word == "None" else parse_value(word)
