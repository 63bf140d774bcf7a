"""The table of an ablation: Markdown for a page, CSV for a spreadsheet, LaTeX for a paper. From plain rows alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]

HEADER = (
    "variant",
    "seeds",
    "last epoch, %",
    "max over epochs, %",
    "difference, points",
    "95 % interval",
    "p",
    "p (Holm)",
    "parameters",
    "MACs",
    "ACs",
    "energy, nJ",
    "ReLU / energy",
    "by the papers",
    "time, s",
)
NOTES = (
    "last epoch: test accuracy after the last epoch, which nobody chose (mean ± sample standard deviation over seeds).",
    "max over epochs: the best epoch by {part} accuracy, as many papers report it{bias}.",
    "difference: to the first row, last epoch, paired by seed; interval and p from Student's t, two sides; "
    "p (Holm) corrected for all rows.",
    "MACs, ACs and energy: per sample, all steps, gates included, from real spikes at 45 nm "
    "(MAC 4.6 pJ, AC 0.9 pJ); time: of training, median.",
    "ReLU / energy: energy of the same network with ReLU, without gates, at T = 1, over this one's: above 1, spikes "
    "save energy, below 1, they cost more.",
    "by the papers: the same ratio by their convention, rate x FLOPs, with gates, neurons and pooling left out; empty: "
    "not measured.",
)
BIAS = ": chosen on the test set, so too high by construction"


def markdown(rows: Rows) -> str:
    """The table and what its columns mean."""
    lines = [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(rows))]) + "\n"


def latex(rows: Rows) -> str:
    """A tabular with booktabs' rules, and the notes as comments."""
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(HEADER) - 1)}}}", r"\toprule", _latex_line(HEADER), r"\midrule"]
    lines += [_latex_line(cells(row)) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*(f"% {note}" for note in notes(rows)), *lines]) + "\n"


def csv_text(rows: Rows) -> str:
    """One column per number, none rounded."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return buffer.getvalue()


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row as text."""
    c = row["comparison"] or {}
    interval = "" if c.get("low") is None else f"{c['low']:+.2f} to {c['high']:+.2f}"
    return (
        row["label"],
        str(len(row["seeds"])),
        _spread(row["last_mean"], row["last_sd"]),
        _spread(row["max_mean"], row["max_sd"]),
        f"{c['mean']:+.2f}" if c else "",
        interval,
        _p(c.get("p")),
        _p(c.get("p_holm")),
        f"{row['parameters']:,}",
        f"{row['macs']:,.0f}",
        f"{row['acs']:,.0f}",
        f"{row['energy_nj']:,.0f}",
        f"{row['relu_ratio']:.2f}",
        "" if row["papers_relu_ratio"] is None else f"{row['papers_relu_ratio']:.2f}",
        f"{row['seconds']:.0f}",
    )


def notes(rows: Rows) -> list[str]:
    """What the columns mean."""
    part = rows[0]["max_part"] if rows else "test"
    return [note.format(part=part, bias=BIAS if part == "test" else "") for note in NOTES]


def _spread(mean: float, sd: float | None) -> str:
    return f"{mean:.2f}" if sd is None else f"{mean:.2f} ± {sd:.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _latex_line(words: Sequence[str]) -> str:
    escaped = (w.replace("%", r"\%").replace("_", r"\_").replace("±", r"$\pm$").replace("<", "$<$") for w in words)
    return " & ".join(escaped) + r" \\"


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in row.items() if name != "comparison"}
    found["seeds"] = " ".join(map(str, row["seeds"]))
    compared = row["comparison"] or {}
    return {**found, **{f"difference_{name}": value for name, value in compared.items()}}
