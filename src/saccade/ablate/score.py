"""What a run is judged by: the accuracy of a network that classifies, the error of one that generates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Score:
    """One way to judge a run."""

    #: column of the table of epochs and field of the result, behind "test_" or "validation_"
    name: str
    mode: Literal["max", "min"]
    #: factor for tables: accuracies are given in percent
    scale: float

    @property
    def best(self) -> Callable[[Iterable[float]], float]:
        """The best of several values."""
        return max if self.mode == "max" else min


SCORES = (Score("accuracy", "max", 100.0), Score("reconstruction", "min", 1.0))


def score_of(names: Iterable[str]) -> tuple[Score, str]:
    """How a run is judged, from the names of what was measured; and which part was scored after every epoch.

    The part is "validation" if there is one, else "test".
    """
    found = set(names)
    for score in SCORES:
        for part in ("validation", "test"):
            if f"{part}_{score.name}" in found:
                return score, part
    raise AssertionError(f"none of {sorted(found)} is a score")


def final_score(record: Mapping[str, Any]) -> float:
    """The score of a finished run on the test set after its last epoch, as tables have it."""
    score = score_of(name for name in record if name.startswith("test_"))[0]
    return score.scale * record[f"test_{score.name}"]
