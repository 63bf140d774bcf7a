"""The table of an ablation: Markdown for a page, CSV for a spreadsheet. From plain rows alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.tables import fold, format_table

Rows = Sequence[Mapping[str, Any]]

HEADER = (
    "variant",
    "seeds",
    "last epoch{unit}",
    "{best} over epochs{unit}",
    "difference{points}",
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
    "last epoch: test {score} after the last epoch, which nobody chose (mean ± sample standard deviation over seeds).",
    "{best} over epochs: the best epoch by {part} {score}, as many papers report it{bias}.",
    "difference: to the first row, last epoch, paired by seed; interval and p from Student's t, two sides; "
    "p (Holm) corrected for all rows.",
    "MACs, ACs and energy: per sample, all steps, gates included, from real spikes at 45 nm "
    "(MAC 4.6 pJ, AC 0.9 pJ); time: of training, median.",
    "ReLU / energy: energy of the same network with ReLU, without gates, at T = 1, over this one's: above 1, spikes "
    "save energy, below 1, they cost more.",
    "by the papers: the same ratio by their convention, rate x FLOPs, with gates, neurons and pooling left out; empty: "
    "not measured.",
)
BIAS = ": chosen on the test set, so too good by construction"
WORDS = {
    "accuracy": {"score": "accuracy", "unit": ", %", "points": ", points", "best": "max"},
    "reconstruction": {"score": "reconstruction error", "unit": ", error", "points": "", "best": "min"},
}
FRECHET = "Fréchet distance"


def header(rows: Rows) -> tuple[str, ...]:
    """The names of the columns."""
    found = tuple(name.format(**_words(rows)) for name in HEADER)
    return (*found, FRECHET) if _generates(rows[0]) else found


def _words(rows: Rows) -> dict[str, str]:
    return WORDS[rows[0].get("score", "accuracy")]


def _generates(row: Mapping[str, Any]) -> bool:
    return row.get("score") == "reconstruction"


def markdown(rows: Rows, remarks: Sequence[str] = ()) -> str:
    """The table, what its columns mean, and further remarks."""
    names = header(rows)
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in (*notes(rows), *remarks))]) + "\n"


def plain_text(rows: Rows, remarks: Sequence[str] = ()) -> str:
    """The same for a terminal."""
    table = format_table([cells(row) for row in rows], header(rows))
    return "\n".join([table, "", *(fold(f"- {note}") for note in (*notes(rows), *remarks))]) + "\n"


def search_markdown(rows: Rows, part: str, remarks: Sequence[str] = ()) -> str:
    """The trials of a search, best first, by the score of the last epoch on the part that chooses."""
    words = _words(rows)
    places = 4 if _generates(rows[0]) else 2
    names = ["rank", "trial", *rows[0]["varied"], "seeds", f"{part} {words['score']}{words['unit']}"]
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for rank, row in enumerate(rows, 1):
        found = [str(rank), row["trial"], *row["varied"].values(), str(len(row["seeds"])), f"{row[part]:.{places}f}"]
        lines.append(f"| {' | '.join(found)} |")
    best = (
        f"The first one's test {words['score']}{words['unit']}: {rows[0]['test']:.{places}f}. It was chosen on the "
        f"{part} part, and the test set was looked at once."
    )
    return "\n".join([*lines, "", *(f"- {note}" for note in (best, *remarks))]) + "\n"


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
    places = 4 if _generates(row) else 2
    interval = "" if c.get("low") is None else f"{c['low']:+.{places}f} to {c['high']:+.{places}f}"
    frechet = row.get("frechet")
    distance = ("" if frechet is None else f"{frechet:.2f}",) if _generates(row) else ()
    return (
        row["label"],
        str(len(row["seeds"])),
        _spread(row["last_mean"], row["last_sd"], places),
        _spread(row["max_mean"], row["max_sd"], places),
        f"{c['mean']:+.{places}f}" if c else "",
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
        *distance,
    )


def notes(rows: Rows) -> list[str]:
    """What the columns mean."""
    part = rows[0]["max_part"]
    found = [note.format(part=part, bias=BIAS if part == "test" else "", **_words(rows)) for note in NOTES]
    if _generates(rows[0]):
        found.append(f"{FRECHET}: of generated from test images, in the latent space of a shipped autoencoder.")
    return found


def _spread(mean: float, sd: float | None, places: int) -> str:
    return f"{mean:.{places}f}" if sd is None else f"{mean:.{places}f} ± {sd:.{places}f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in row.items() if name != "comparison"}
    found["seeds"] = " ".join(map(str, row["seeds"]))
    compared = row["comparison"] or {}
    return {**found, **{f"difference_{name}": value for name, value in compared.items()}}
