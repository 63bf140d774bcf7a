"""How time and memory grow with T, batch, width and resolution: points, and a power law through them."""

from __future__ import annotations

import math
import statistics
from typing import Any

from saccade.bench import memory
from saccade.bench.cases import Case, inference, training
from saccade.bench.timing import interleave

BASE = Case("msresnet18", "tcja", steps=4, batch=4, size=32, channels=3, frames=False, width=0.25)
AXES: dict[str, tuple[float, ...]] = {
    "steps": (1, 2, 4, 8, 16),
    "batch": (1, 2, 4, 8, 16),
    "width": (0.125, 0.25, 0.5, 1.0),
    "size": (16, 32, 48, 64, 96),
}
WAYS = (("training", "plain"), ("training", "saccade"), ("inference", "plain"), ("inference", "deploy float"))


def measure_scaling(
    rounds: int, base: Case = BASE, axes: dict[str, tuple[float, ...]] = AXES, with_memory: bool = True
) -> dict[str, Any]:
    """Per axis and way: the values, median ms, peak MB of training, and the fitted exponents."""
    result: dict[str, Any] = {"base": vars(base)}
    for axis, values in axes.items():
        cases = [Case(**{**vars(base), axis: value}) for value in values]
        timed = [_medians(case, rounds) for case in cases]
        result[axis] = {"values": list(values)}
        for kind, way in WAYS:
            ms = [point[f"{kind} {way}"] for point in timed]
            row: dict[str, Any] = {"ms": ms, "time_exponent": exponent(values, ms)}
            if with_memory and kind == "training" and memory.CLEAR_REFS.exists():
                row["peak_MB"] = memory.peaks(cases, kind, way)
                row["memory_exponent"] = exponent(values, row["peak_MB"])
            result[axis][f"{kind} {way}"] = row
    return result


def _medians(case: Case, rounds: int) -> dict[str, float]:
    build = {"training": training, "inference": inference}
    runs = {f"{kind} {way}": build[kind](case, way) for kind, way in WAYS}
    return {
        name: float(f"{1e3 * statistics.median(seconds):.4g}")
        for name, seconds in interleave(runs, rounds, warmup=1).items()
    }


def exponent(values: tuple[float, ...], costs: list[float]) -> float | None:
    """p of the least-squares line through log cost = p log value + c; None if something cost nothing measurable."""
    if min(costs) <= 0:
        return None
    x, y = [math.log(v) for v in values], [math.log(c) for c in costs]
    return round(statistics.linear_regression(x, y).slope, 3)
