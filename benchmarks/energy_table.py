"""The table of two energy conventions in docs/results.md, from results/energy/shipped.json; written by tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages import table

HEADER = (
    "weights",
    "attention",
    "energy, nJ",
    "of it synapses",
    "of it gates",
    "ReLU / energy",
    "energy by the papers, nJ",
    "ReLU / energy by the papers",
)
TEXT = """## Energy, by two conventions

The networks that ship with the package, on the same {samples} test samples (`python benchmarks/energy.py`). Our sum
takes for multiplications what reads gated, pooled or membrane values, and counts gates, neurons and pooling; the
papers' convention (rate x FLOPs) takes every layer but the first for additions of spikes, and counts no more. *ReLU /
energy* is how many times as much the same network with ReLU takes at T = 1, without gates: below 1, spikes cost more
than they save.
[inside.md](inside.md#operations-and-energy) has both formulas.

{table}"""


def energy_table(results: Path) -> str:
    """One row per shipped network; nothing before it was measured."""
    file = results / "energy" / "shipped.json"
    if not file.exists():
        return ""
    found = json.loads(file.read_text())
    samples = next(iter(found.values()))["samples"]
    return TEXT.format(samples=samples, table=table([HEADER, *(_row(name, e) for name, e in found.items())]))


def _row(name: str, e: dict[str, Any]) -> tuple[str, ...]:
    papers = e["papers"]
    return (
        name,
        e["attention"],
        _nj(e["energy_mj"]),
        _nj(e["spent_mj"]["synapse"]),
        _nj(e["spent_mj"]["attention"]),
        f"{e['relu_energy_mj'] / e['energy_mj']:.2f}",
        _nj(papers["energy_mj"]),
        f"{papers['relu_energy_mj'] / papers['energy_mj']:.2f}",
    )


def _nj(mj: float) -> str:
    return f"{1e6 * mj:,.0f}"
