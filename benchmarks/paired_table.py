"""Two ways of training beside each other on the same seeds: causal gates (docs/streams.md), bfloat16 (docs/speed.md).

    python benchmarks/paired_table.py [--check]

Reads the records in results/: digits and nmnist with digits-causal and nmnist-causal, bfloat16-* alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pages import ROOT, rewrite, spread, table
from saccade.ablate import compare, read_records

Records = list[dict[str, Any]]
Pair = tuple[str, Records, Records]  # what it is, the usual way, the other


def of(experiment: str, field: str, value: str) -> Records:
    """The records of an experiment in which a field has a value."""
    return [r for r in read_records(ROOT / "results" / experiment) if r["varied"][field] == value]


def causal() -> Iterable[Pair]:
    for data in ("digits", "nmnist"):
        for gate in ("tcja", "dta"):
            yield f"{data}, {gate}", of(data, "attention", gate), of(f"{data}-causal", "attention", gate)


def bfloat16() -> Iterable[Pair]:
    for folder in sorted((ROOT / "results").glob("bfloat16-*")):
        usual, other = (of(folder.name, "precision", precision) for precision in ("float32", "bfloat16"))
        yield folder.name.removeprefix("bfloat16-"), usual, other


def rows(pairs: Iterable[Pair], *head: str) -> Iterable[Sequence[str]]:
    yield *head[:1], "seeds", *head[1:], "difference, points (95 %)"
    for name, usual, other in pairs:
        found = compare(other, usual)
        if found is None:
            continue
        between = "" if found.low is None else f" ({found.low:+.2f} to {found.high:+.2f})"
        seeds = {r["seed"] for r in other} & {r["seed"] for r in usual}
        both = [[100 * r["test_accuracy"] for r in side if r["seed"] in seeds] for side in (usual, other)]
        yield name, str(len(seeds)), *(f"{spread(side, 2)} %" for side in both), f"{found.mean:+.2f}{between}"


def main() -> None:
    check = "--check" in sys.argv
    how = "Test accuracy after the last epoch, mean ± standard deviation over seeds; the difference is paired by seed "
    note = (
        f"{how}(Student's t). Records: `results/*-causal`, and those of the published form in `results/digits`, "
        "`results/nmnist`, which an earlier version trained on another processor."
    )
    shown = table(rows(causal(), "data, gate", "as published", "causal"))
    rewrite("docs/streams.md", "paired_table.py", {"causal": f"{shown}\n\n{note}"}, check)
    note = f"{how}(Student's t). Records, with machine, commit and versions: `results/bfloat16-*`."
    shown = f"{table(rows(bfloat16(), 'recipe', 'float32', 'bfloat16'))}\n\n{note}"
    parts = {"bfloat16": shown if any(bfloat16()) else "Accuracy beside float32: not measured yet."}
    rewrite("docs/speed.md", "paired_table.py", parts, check)


if __name__ == "__main__":
    main()
