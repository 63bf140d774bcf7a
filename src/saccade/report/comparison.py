"""The report of a grid of runs: its table, every seed, learning curves, costs, and the table for a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.report import words
from saccade.report.ablation import cells, header, notes
from saccade.report.blocks import Block, Code, Fold, Items, Missing, Picture, Report, Section, Table
from saccade.report.figures import ablation_figure, epochs_figure
from saccade.report.latex import latex

#: columns of `ablation.header` in the first table; the others are costs
FIRST = 8


@dataclass(frozen=True)
class Grid:
    """What a grid's page is made of, as plain data.

    Args:
        name: of the grid's folder.
        rows: as `saccade.ablate.summarise` gives them, as dicts; the first is the baseline.
        records: label -> the records of its runs, in the order of the rows.
        remarks: what is missing, e.g. runs that were stopped early.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    records: Mapping[str, Sequence[Mapping[str, Any]]]
    remarks: Sequence[str] = ()


def grid_report(grid: Grid) -> Report:
    """The page."""
    first = next(iter(grid.records.values()))[0]
    runs = sum(map(len, grid.records.values()))
    sections = [
        Section("result", "Result", _result(grid)),
        Section("curves", "Learning curves", _curves(grid)),
        Section("costs", "Parameters, operations, energy, time", _costs(grid)),
        Section("runs", "Every run", _runs(grid)),
        Section("configuration", "Configuration", _configuration(grid)),
        Section(
            "paper",
            "For a paper",
            [Fold("The table as LaTeX", [Code(latex(grid.rows, first["recipe"], grid.remarks))])],
        ),
    ]
    return Report(grid.name, f"{runs} runs of {len(grid.rows)} variants. Recipe: {first['recipe']}.", sections)


def _result(grid: Grid) -> list[Block]:
    rows, names = grid.rows, header(grid.rows)
    generates = rows[0].get("score") == "reconstruction"
    best = (min if generates else max)(rows, key=lambda row: row["last_mean"])
    scores = {label: [_scaled(rows, record) for record in found] for label, found in grid.records.items()}
    blocks: list[Block] = [
        Table(
            "After the last epoch, mean \u00b1 sample standard deviation over seeds",
            names[:FIRST],
            [cells(row)[:FIRST] for row in rows],
        ),
        Picture(
            "scores",
            ablation_figure(scores, rows[0]["score"]),
            f"Test {rows[0]['score']} of {len(rows)} variants. Best mean: {best['label']}, {cells(best)[2]}.",
            "Dots: seeds; bars: means; the line goes through the mean of the first row.",
        ),
        Fold("What the columns mean", [Items(notes(rows))]),
    ]
    return [*blocks, *(Missing(remark) for remark in grid.remarks)]


def _scaled(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> float:
    name = rows[0]["score"]
    return float(record[f"test_{name}"]) * (100 if name == "accuracy" else 1)


def _curves(grid: Grid) -> list[Block]:
    name = grid.rows[0]["score"]
    part = grid.rows[0]["max_part"]
    means = {
        label: [
            math.fsum(values) / len(values) for values in zip(*(r["epochs_scored"][name] for r in found), strict=False)
        ]
        for label, found in grid.records.items()
    }
    epochs = max(map(len, means.values()))
    if epochs < 2:
        return [Missing("There is one epoch, so there are no curves.")]
    ends = ", ".join(f"{label} {curve[-1]:.4g}" for label, curve in means.items())
    return [
        Picture(
            "epochs",
            epochs_figure(means, f"{part} {name}", name == "accuracy"),
            f"{part} {name} over {epochs} epochs, mean over seeds. At the end: {ends}.",
            f"{part} {name} after every epoch, mean over seeds.",
        )
    ]


def _costs(grid: Grid) -> list[Block]:
    names = header(grid.rows)
    table = [[cells(row)[0], *cells(row)[FIRST:]] for row in grid.rows]
    return [Table("Per sample, all steps; time of training", [names[0], *names[FIRST:]], table)]


def _runs(grid: Grid) -> list[Block]:
    name = grid.rows[0]["score"]
    rows = [
        [record["cell"], str(record["seed"]), f"{_scaled(grid.rows, record):.4g}",
         words.plain(record["firing_rate"], 3), words.seconds(record["seconds"]),
         str(record.get("hardware", words.NOTHING))]
        for found in grid.records.values()
        for record in found
    ]  # fmt: skip
    unit = ", %" if name == "accuracy" else ""
    columns = ["run", "seed", f"test {name}{unit}", "spikes per neuron and step", "training", "machine"]
    return [Fold(f"{len(rows)} runs", [Table("Runs", columns, rows)])]


def _configuration(grid: Grid) -> list[Block]:
    records = [record for found in grid.records.values() for record in found]
    varied = list(dict.fromkeys(name for record in records for name in record["varied"]))
    same = records[0]["experiment"]
    names = [name for name in same if all(record["experiment"].get(name) == same[name] for record in records)]
    commits = sorted({str(record.get("commit") or "unknown")[:12] for record in records})
    blocks: list[Block] = [
        Table(
            "What varies",
            ["variant", *varied],
            [
                [label, *(str(found[0]["varied"].get(name, "")) for name in varied)]
                for label, found in grid.records.items()
            ],
        ),
        Fold(
            "Settings that all runs share",
            [Table("Settings", ["setting", "value"], [[n, words.value(same[n])] for n in names])],
        ),
        Items([f"Commit: {', '.join(commits)}.", f"Versions: {words.value(records[0].get('versions', {}))}."]),
    ]
    return blocks
