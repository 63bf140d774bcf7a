"""Write the tables of docs/reliability.md from benchmarks/results/reliability.json.

python benchmarks/reliability_table.py            # rewrite the section between the markers
python benchmarks/reliability_table.py --check    # exit 1 if the page is not what this would write
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from pages import ROOT, rewrite, table

RESULTS = ROOT / "benchmarks" / "results" / "reliability.json"
#: campaign -> what is counted besides cases, and how it is called
COUNTED = {
    "kills": ("kills", "processes killed"),
    "faults": ("kills", "steps of writing at which one was killed"),
    "told": ("stopped", "stopped before they ended"),
    "full": ("refused", "ended with a sentence about the disk"),
    "bits": (None, ""),
    "fuzz": ("read", "read, as they say"),
    "readers": ("files", "files tried"),
    "soak": ("passes", "forward passes"),
    "training": ("epochs", "epochs"),
}
MEMORY = {"soak": "pass", "training": "training"}


def origin(campaign: dict[str, Any]) -> str:
    """Where it ran, in a line."""
    sessions = campaign["sessions"]
    last = sessions[-1]
    commits = ", ".join(dict.fromkeys(str(session["commit"])[:12] for session in sessions))
    versions = ", ".join(f"{name} {last['versions'][name]}" for name in ("torch", "numpy") if name in last["versions"])
    return f"{last['hardware']}, {last['threads']} thread, {versions}, {last['date']}, commit {commits}"


def overview(campaigns: dict[str, Any]) -> str:
    rows: list[Sequence[str]] = [("campaign", "cases", "held", "of which", "seconds")]
    for name, campaign in campaigns.items():
        kinds = campaign["kinds"].values()
        counted, words = COUNTED[name]
        more = f"{sum(kind.get(counted, 0) for kind in kinds):,} {words}" if counted else ""
        held = sum(kind["held"] for kind in kinds)
        rows.append((campaign["what"], f"{campaign['cases']:,}", f"{held:,}", more, f"{campaign['seconds']:,.0f}"))
    return table(rows)


def by_kind(name: str, campaign: dict[str, Any]) -> str:
    counted, words = COUNTED[name]
    header = ["kind", "cases", "held", *([words] if counted else [])]
    if name in MEMORY:
        header.append(f"bytes per {MEMORY[name]}, and 95 % interval")
    rows: list[Sequence[str]] = [header]
    for kind, found in campaign["kinds"].items():
        cells = [kind, f"{found['cases']:,}", f"{found['held']:,}"]
        cells += [f"{found.get(counted, 0):,}"] if counted else []
        if name in MEMORY:
            cells.append(f"{found['slope']:+,.0f} ± {found['half_interval']:,.0f}" if "slope" in found else "too few")
        rows.append(cells)
    fell = "".join(f"\n\nFell: case {f['case']}, {f['kind']}: {first_line(f['wrong'])}" for f in campaign["fell"])
    title = f"{campaign['what'][0].upper()}{campaign['what'][1:]}"
    return f"### {title}\n\n{table(rows)}{fell}\n\n{origin(campaign)}."


def first_line(text: str) -> str:
    return f"`{text.splitlines()[0][:200].replace('`', '')}`"


def section() -> str:
    """The whole section."""
    campaigns = json.loads(RESULTS.read_text(encoding="utf-8"))["campaigns"]
    there = {name: campaigns[name] for name in COUNTED if name in campaigns}
    parts = [overview(there), *(by_kind(name, campaign) for name, campaign in there.items())]
    return "\n\n".join(parts)


if __name__ == "__main__":
    rewrite("docs/reliability.md", "reliability_table.py", {"reliability": section()}, check="--check" in sys.argv)
