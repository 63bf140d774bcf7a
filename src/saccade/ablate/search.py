"""Random search: runs whose fields are drawn from distributions, judged on a validation part.

Bergstra, Bengio. Random Search for Hyper-Parameter Optimization. JMLR 2012.

Trial n of a search draws the same values whatever the number of trials, so a search can be made longer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saccade.ablate.grid import Cell, Widen, check_fields, make_cell, parse_words
from saccade.errors import unknown_name
from saccade.train.config import Experiment

#: from a generator and the arguments, a value as it is written
Draw = Callable[..., str]


def _between(low: str, high: str) -> tuple[float, float]:
    a, b = float(low), float(high)
    if not a < b:
        raise ValueError(f"the first bound, {low}, must be below the second, {high}")
    return a, b


def _uniform(rng: np.random.Generator, low: str, high: str) -> str:
    return f"{rng.uniform(*_between(low, high)):.4g}"


def _loguniform(rng: np.random.Generator, low: str, high: str) -> str:
    a, b = _between(low, high)
    if a <= 0:
        raise ValueError("both bounds must be above 0")
    return f"{math.exp(rng.uniform(math.log(a), math.log(b))):.4g}"


def _integer(rng: np.random.Generator, low: str, high: str) -> str:
    return str(rng.integers(int(low), int(high), endpoint=True))


def _choice(rng: np.random.Generator, *values: str) -> str:
    return values[rng.integers(len(values))]


#: name -> how to draw from it; bounds are included
DISTRIBUTIONS: dict[str, Draw] = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "integer": _integer,
    "choice": _choice,
}


@dataclass(frozen=True)
class Search:
    """A base experiment, a distribution for every field that is searched, and how many draws; seeds as for `Grid`."""

    base: Experiment
    distributions: Mapping[str, str]
    trials: int
    seeds: int = 1

    def __post_init__(self) -> None:
        if self.trials < 1 or self.seeds < 1:
            raise ValueError(
                f"A search needs 1 trial and 1 seed or more, not trials={self.trials}, seeds={self.seeds}."
            )
        if not self.base.validation:
            raise ValueError(
                "A search chooses, and the test set is for the last number only: set a part of the training set aside, "
                "e.g. --validation 0.1."
            )
        check_fields(self.base, self.distributions)
        for name, words in self.distributions.items():
            draw(name, words, np.random.default_rng(0))

    def cells(self, widen: Widen) -> list[Cell]:
        """All runs, seed by seed."""
        drawn = [self._draw(number) for number in range(self.trials)]
        seeds = range(self.base.seed, self.base.seed + self.seeds)
        return [
            make_cell(self.base, varied, seed, widen, f"trial{number:03d}")
            for seed in seeds
            for number, varied in enumerate(drawn)
        ]

    def _draw(self, number: int) -> dict[str, str]:
        rng = np.random.default_rng([self.base.seed, number])
        return {name: draw(name, words, rng) for name, words in self.distributions.items()}


def parse_search(words: Sequence[str]) -> dict[str, str]:
    """`["lr=loguniform(1e-3,1)"]` -> `{"lr": "loguniform(1e-3,1)"}`."""
    return parse_words(words, "--search", "FIELD=DISTRIBUTION(...), e.g. lr=loguniform(1e-3,1)")


def draw(name: str, words: str, rng: np.random.Generator) -> str:
    """A value of a distribution such as "loguniform(1e-3,1)", for a field.

    Raises:
        ValueError: no such distribution, or arguments that it does not take.
    """
    found = re.fullmatch(r"(\w+)\((.*)\)", words)
    if found is None or found[1] not in DISTRIBUTIONS:
        raise unknown_name("distribution", found[1] if found else words, DISTRIBUTIONS)
    arguments: list[Any] = [word.strip() for word in found[2].split(",") if word.strip()]
    try:
        if not arguments:
            raise ValueError("it has no arguments")
        return DISTRIBUTIONS[found[1]](rng, *arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}={words} cannot be drawn from ({error}). uniform, loguniform and integer take two bounds, choice "
            "any number of values."
        ) from None
