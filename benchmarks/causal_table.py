"""Causal gates beside the published ones, on the same seeds, for docs/streams.md.

    python benchmarks/causal_table.py [--check]

Reads results/digits and results/nmnist (published) and results/digits-causal and results/nmnist-causal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pages import ROOT, rewrite, spread, table
from saccade.ablate import compare, read_records

PAGE = "docs/streams.md"
Records = list[dict[str, Any]]


def of(experiment: str, attention: str) -> Records:
    """The records of an attention."""
    return [r for r in read_records(ROOT / "results" / experiment) if r["varied"]["attention"] == attention]


def accuracies(records: Records) -> str:
    return spread([100 * r["test_accuracy"] for r in records], 2)


def rows() -> Iterable[Sequence[str]]:
    yield "data", "gate", "seeds", "as published", "causal", "difference, points (95 %)"
    for data in ("digits", "nmnist"):
        for attention in ("tcja", "dta"):
            causal, published = of(f"{data}-causal", attention), of(data, attention)
            found = compare(causal, published)
            if found is None:
                continue
            between = "" if found.low is None else f" ({found.low:+.2f} to {found.high:+.2f})"
            seeds = {r["seed"] for r in causal} & {r["seed"] for r in published}
            both = [[r for r in side if r["seed"] in seeds] for side in (published, causal)]
            shown = [f"{accuracies(side)} %" for side in both]
            yield data, attention, str(len(seeds)), *shown, f"{found.mean:+.2f}{between}"


def main() -> None:
    note = (
        "Test accuracy after the last epoch, mean ± standard deviation over seeds; the difference is paired by seed "
        "(Student's t). Records: `results/*-causal`, and those of the published form in `results/digits`, "
        "`results/nmnist`, which an earlier version trained on another processor."
    )
    rewrite(PAGE, "causal_table.py", {"causal": f"{table(rows())}\n\n{note}"}, "--check" in sys.argv)


if __name__ == "__main__":
    main()
