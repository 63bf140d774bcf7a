"""The table of docs/papers.md, from the recipes and the records in results/; written by tables.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pages import spread, table
from saccade.ablate import read_records
from saccade.recipes import Figures, Reported, get_recipe, list_recipes, papers_score, recipe_entry
from saccade.train.config import Experiment, from_dict

HEADER = (
    "recipe",
    "T",
    "parameters",
    "the paper reports",
    "as quoted from",
    "ours",
    "training, 10^18 operations",
    "hours at 100 TFLOP/s",
    "command",
)
#: a rate to divide by, not one that was measured
RATE = 1e14


def papers_table(results: Path) -> str:
    """One row per recipe for which a paper reports a score."""
    records = [r for folder in sorted(results.iterdir()) if folder.is_dir() for r in read_records(folder)]
    return table([HEADER, *(_row(name, records) for name in list_recipes() if recipe_entry(name).reported)])


def _row(name: str, records: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    entry, experiment = recipe_entry(name), get_recipe(name)
    reported, figures = entry.reported, entry.figures
    assert reported is not None
    assert figures is not None  # a test holds it for every recipe
    total = operations(experiment, figures)
    return (
        f"`{name}`",
        str(experiment.steps),
        f"{figures.parameters:,}",
        f"{reported.value:g} ({reported.metric})",
        reported.source,
        ours(name, reported, records),
        "" if total is None else f"{total / 1e18:.3g}",
        "" if total is None else f"{total / RATE / 3600:.2g}",
        f"`saccade train {name}`",
    )


def operations(experiment: Experiment, figures: Figures) -> float | None:
    """Multiplications and additions of a whole training: 2 per MAC, three times the forward pass, for every sample."""
    if figures.samples is None:
        return None
    return 2 * 3 * figures.gmacs * 1e9 * figures.samples * experiment.epochs


def ours(name: str, reported: Reported, records: Sequence[dict[str, Any]]) -> str:
    """What runs of the recipe reached, those that changed it apart, with what they changed."""
    by_change: dict[str, list[float]] = {}
    for record in records:
        if record["recipe"] == name and "test_accuracy" in record:
            changed = papers_score(from_dict({**record["experiment"], "data_root": None}))
            said = ", ".join(changed["recipe_changed_in"]) if changed else ""
            by_change.setdefault(said, []).append(100 * record["test_accuracy"])
    if not by_change:
        return "not run"
    return "; ".join(
        f"{spread(values, 2)} ({len(values)} {'run' if len(values) == 1 else 'runs'}"
        f"{', changed: ' + said if said else ''})"
        for said, values in by_change.items()
    )
