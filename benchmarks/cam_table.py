"""The table of the deletion test in docs/inside.md, from results/cam/deletion.json; written by tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages import spread, table

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
    rows = [HEADER]
    for data, runs in json.loads(file.read_text()).items():
        for attention in dict.fromkeys(run["attention"] for run in runs):
            chosen = [run["deletion"] for run in runs if run["attention"] == attention]
            rows.append(_row(data, attention, chosen))
    return table(rows)


def _row(data: str, attention: str, scores: list[dict[str, Any]]) -> tuple[str, ...]:
    gaps = [s["random"] - s["top"] for s in scores]
    found = [[s[column] for s in scores] for column in COLUMNS]
    return (data, attention, str(len(scores)), *(spread([100 * v for v in values], 1) for values in [*found, gaps]))
