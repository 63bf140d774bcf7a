"""What sections share: columns of runs, and the sentences for what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from saccade.report.blocks import Block, Missing, Table
from saccade.report.content import Run
from saccade.report.words import NOTHING
from saccade.runs import PROBES


def with_probe(runs: Sequence[Run], name: str) -> tuple[list[Run], list[Block]]:
    """The runs that have a probe, and a notice for those that have not."""
    found = [run for run in runs if name in run.probes]
    stale = [run for run in runs if name in run.stale]
    lacking = [run for run in runs if run not in found and run not in stale]
    what, command = PROBES[name].brings, f"saccade {PROBES[name].command}"
    blocks: list[Block] = []
    if lacking:
        who = "This run has" if len(runs) == 1 else f"{listed(lacking)}:"
        blocks.append(Missing(f"{who} no {what}. `{command}` brings them, for a finished run with its data at hand."))
    if stale:
        of = "" if len(runs) == 1 else f" of {listed(stale)}"
        blocks.append(
            Missing(
                f"{what[0].upper()}{what[1:]}{of} are left out: they are of other weights than the run's. "
                f"`{command}` looks anew."
            )
        )
    return found, blocks


def listed(runs: Iterable[Run]) -> str:
    """The labels in a row."""
    return ", ".join(run.label for run in runs)


def by_run(
    caption: str, runs: Sequence[Run], rows: Sequence[tuple[str, Callable[[Run], str]]], corner: str = ""
) -> Table:
    """A table with a column for each run; rows that no run can fill are left out."""
    cells = [[name, *(fill(run) for run in runs)] for name, fill in rows]
    filled = [row for row in cells if any(cell != NOTHING for cell in row[1:])]
    return Table(caption, [corner, *(run.label for run in runs)], filled)


def prefix(run: Run, runs: Sequence[Run]) -> str:
    """The run's label with a colon, where there are several."""
    return f"{run.label}: " if len(runs) > 1 else ""


def slug(*parts: object) -> str:
    """Letters, digits and hyphens, for the names of figures."""
    text = "-".join(str(part) for part in parts).lower()
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)
