"""saccade report: one page about a run, comparing several, or about an ablation, and the same as Markdown."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.cli.inside import InsideArguments, OpenRun, open_run, parse_inside
from saccade.errors import require
from saccade.files import read_object
from saccade.report.content import runs_in
from saccade.runs import CONFIG, GRID_RUNS, PROBES

if TYPE_CHECKING:
    from saccade.report.comparison import Grid


@dataclass(kw_only=True)
class ReportArguments(InsideArguments):
    """Which runs, whether they are looked into first, and where the page goes."""

    probe: bool = False
    """First look into every run (answers, gates, Grad-CAM, firing, energy): needs weights and data. Without it the
    page is made from what is there."""
    out: Path | None = None
    """Folder for report.html and report.md; default: RUN/report, or report in the folder that holds all runs."""


def main(words: Sequence[str]) -> int:
    """Write the page and say where it is."""
    text = (
        "A self-contained page (HTML, and the same as Markdown) about one run, comparing several, or, for the folder "
        "of an ablation, about all its variants: the table, curves, costs, every seed, and LaTeX to paste."
    )
    arguments = parse_inside(ReportArguments, words, "report", text)
    for library in ("matplotlib", "jinja2"):
        require(library, "report")
    if arguments.probe:
        for path in chain.from_iterable(map(runs_in, arguments.runs)):
            print(f"Looking into {path}", flush=True)
            probe_all(open_run(path, arguments))

    from saccade.report.build import write_page, write_report

    out = arguments.out or _default_folder(arguments.runs)
    grid = read_grid(arguments.runs[0]) if len(arguments.runs) == 1 else None
    if grid is not None:
        from saccade.report.comparison import grid_report

        written = write_page(grid_report(grid), out)
    else:
        written = write_report(arguments.runs, out)
    print(f"{written.html} ({written.html_bytes / 1e6:.2f} MB)\n{written.markdown}")
    return 0


def read_grid(path: Path) -> Grid | None:
    """What the records of an ablation's folder say; None for the folder of a run, or a grid of which no run has ended.

    The first variant is that of the table that `saccade ablate` wrote there, else the network without attention.
    """
    records_in = path / "records" if (path / "records").is_dir() else path
    if (path / CONFIG).exists() or not any(records_in.glob("*-seed*.json")):
        return None

    from saccade.ablate import read_records, summarise
    from saccade.ablate.grid import label
    from saccade.ablate.statistics import by_label
    from saccade.report.comparison import Grid

    records = read_records(records_in)
    table = read_object(path / "table.json") if (path / "table.json").is_file() else {}
    labels = [row["label"] for row in table.get("rows", [])]
    others = sorted((label(record["varied"]) for record in records), key=lambda name: name != "none")
    labels = list(dict.fromkeys([*labels, *others]))
    ended = {record["cell"] for record in records}
    begun = sorted(config.parent.name for config in (path / GRID_RUNS).glob(f"*/{CONFIG}"))
    remarks = [f"{name} has not ended, and is in no row." for name in begun if name not in ended]
    rows = [asdict(row) for row in summarise(records, labels)]
    return Grid(path.resolve().name, rows, by_label(records, labels), remarks)


def probe_all(run: OpenRun) -> None:
    """Everything that looks into a run, with default settings."""
    from saccade.train.build import generates

    for probe in PROBES.values():
        if probe.function is not None and not (probe.classifies and generates(run.experiment.model)):
            module, _, function = probe.function.partition(":")
            getattr(importlib.import_module(module), function)(run)


def probe_predictions(run: OpenRun) -> None:
    """Write one run's answers on the whole test part."""
    from saccade.probe import predict
    from saccade.train.running.provenance import hardware

    run.store("predictions", {**predict(run.model, run.batches()).summary(), "hardware": hardware(run.device)})


def _default_folder(runs: Sequence[Path]) -> Path:
    if len(runs) == 1:
        return runs[0] / "report"
    return Path(os.path.commonpath([path.resolve() for path in runs])) / "report"
