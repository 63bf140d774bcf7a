"""The table of the deletion test in docs/inside.md, from results/cam/deletion.json; written by tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

COLUMNS = ("intact", "top", "random", "other")
HEADER = (
    "data",
    "attention",
    "seeds",
    "intact",
    "top 20 % deleted",
    "random 20 % deleted",
    "another sample's top 20 % deleted",
    "random - top, points",
)


def deletion_table(results: Path) -> str:
    """Mean ± sample standard deviation over seeds, in percent."""
    file = results / "cam" / "deletion.json"
    if not file.exists():
        return ""
    lines = [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    for data, runs in json.loads(file.read_text()).items():
        for attention in dict.fromkeys(run["attention"] for run in runs):
            chosen = [run["deletion"] for run in runs if run["attention"] == attention]
            lines.append(f"| {' | '.join(_row(data, attention, chosen))} |")
    return "\n".join(lines)


def _row(data: str, attention: str, scores: list[dict[str, Any]]) -> tuple[str, ...]:
    gaps = [s["random"] - s["top"] for s in scores]
    found = [[s[column] for s in scores] for column in COLUMNS]
    return (data, attention, str(len(scores)), *map(_spread, [*found, gaps]))


def _spread(shares: list[float]) -> str:
    values = [100 * share for share in shares]
    return f"{fmean(values):.1f}" if len(values) < 2 else f"{fmean(values):.1f} ± {stdev(values):.1f}"
