"""The tables of a grid or a search, and where they lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from saccade.ablate import Grid, Search, read_records, summarise
from saccade.ablate.folder import GridFolder
from saccade.ablate.grid import Cell
from saccade.ablate.score import final_score, score_of
from saccade.ablate.statistics import by_label
from saccade.atomic import write_text
from saccade.report.ablation import csv_text, markdown, plain_text, search_markdown
from saccade.report.figures import ablation_figure, write_png
from saccade.report.latex import latex

NOTHING = "No run has finished: there is nothing to compare yet, and no table.\n"


def write_tables(grid: Grid | Search, cells: Sequence[Cell], folder: GridFolder) -> str:
    """Write the tables and the figure of what is finished; returns the table, and where the files are."""
    names = {cell.name for cell in cells}
    records = [r for r in read_records(folder.records) if r["cell"] in names]
    stopped = {cell.name: mark for cell in cells if (mark := folder.stopped(cell.name)) is not None}
    if not records:
        return NOTHING
    if isinstance(grid, Search):
        return _write_search(grid, cells, records, stopped, folder.path)
    return _write_grid(grid, cells, records, stopped, folder.path)


def _write_grid(
    grid: Grid, cells: Sequence[Cell], records: list[dict[str, Any]], stopped: Mapping[str, Any], path: Path
) -> str:
    labels = list(dict.fromkeys(cell.label for cell in cells))
    rows = [asdict(row) for row in summarise(records, labels)]
    remarks = [
        f"{name}: stopped early, after epoch {mark['after_epoch']}; it is in no row." for name, mark in stopped.items()
    ]
    content = {"vary": {name: list(values) for name, values in grid.vary.items()}, "rows": rows}
    write_text(path / "table.json", json.dumps({**content, "stopped": dict(stopped)}, indent=1) + "\n")
    write_text(path / "table.csv", csv_text(rows))
    write_text(path / "table.tex", latex(rows, grid.base.recipe, remarks))
    write_text(path / "table.md", markdown(rows, remarks))
    groups = by_label(records, labels).items()
    scores = {name: [final_score(r) for r in found] for name, found in groups}
    write_png(path / "accuracy.png", ablation_figure(scores, rows[0]["score"]))
    files = f"Records, table.md, table.csv, table.tex and accuracy.png are in {path}. As a page: saccade report {path}"
    return f"{plain_text(rows, remarks)}\n{files}\n"


def _write_search(
    search: Search, cells: Sequence[Cell], records: list[dict[str, Any]], stopped: Mapping[str, Any], path: Path
) -> str:
    """Ranked by the validation score of the last epoch, mean over seeds; the test score of the best alone is shown."""
    score, part = score_of(f"{r['epochs_scored']['part']}_{name}" for r in records for name in r["epochs_scored"])
    found = {r["cell"]: r for r in records}
    rows = []
    for label, group in _by_values(cells).items():
        done = [found[cell.name] for cell in group if cell.name in found]
        if not done:
            continue
        values = [score.scale * r["epochs_scored"][score.name][-1] for r in done]
        tests = [final_score(r) for r in done]
        rows.append(
            {
                "trial": group[0].name.partition("-seed")[0],
                "varied": dict(group[0].varied),
                "label": label,
                "seeds": [r["seed"] for r in done],
                "score": score.name,
                part: sum(values) / len(values),
                "test": sum(tests) / len(tests),
            }
        )
    rows.sort(key=lambda row: row[part], reverse=score.mode == "max")
    remarks = [
        f"{name}: stopped early, after epoch {mark['after_epoch']}; not ranked." for name, mark in stopped.items()
    ]
    content = {"search": dict(search.distributions), "trials": search.trials, "rows": rows, "stopped": dict(stopped)}
    write_text(path / "search.json", json.dumps(content, indent=1) + "\n")
    text = search_markdown(rows, part, remarks)
    write_text(path / "search.md", text)
    return f"{text}\nRecords, search.md and search.json are in {path}.\n"


def _by_values(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.label, []).append(cell)
    return groups
