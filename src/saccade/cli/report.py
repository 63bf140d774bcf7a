"""saccade report: one page about a run, or comparing several, and the same as Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.cli.inside import InsideArguments, OpenRun, open_run, parse_inside
from saccade.errors import require
from saccade.report.content import PROBE, read_run, runs_in

if TYPE_CHECKING:
    from saccade.probe import CostTable


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
    text = "A self-contained page (HTML, and the same as Markdown) about one run, or comparing several."
    arguments = parse_inside(ReportArguments, words, "report", text)
    for library in ("matplotlib", "jinja2"):
        require(library, "report")
    if arguments.probe:
        for path in chain.from_iterable(map(runs_in, arguments.runs)):
            print(f"Looking into {path}", flush=True)
            probe_all(open_run(path, arguments), arguments)

    from saccade.report.build import write_report

    written = write_report(arguments.runs, arguments.out or _default_folder(arguments.runs))
    print(f"{written.html} ({written.html_bytes / 1e6:.2f} MB)\n{written.markdown}")
    return 0


def probe_all(run: OpenRun, arguments: InsideArguments) -> None:
    """Every probe of a run, with default settings, but with the costs of operations that the run was given before."""
    from saccade.cli.cam import CamArguments, probe_cam
    from saccade.cli.energy import probe_energy
    from saccade.cli.gates import probe_gates
    from saccade.train.build import generates

    if not generates(run.experiment.model):
        probe_predictions(run)
        probe_cam(run, CamArguments(runs=arguments.runs))
    probe_gates(run, 32)
    probe_energy(run, 64, costs_of(run.path))


def costs_of(run: Path) -> CostTable:
    """Those of the run's energy.json; where there is none, those of `saccade energy`."""
    from saccade.probe.costs import FLOAT32, table_from_json

    kept = read_run(run).probes.get("energy", {}).get("table")
    return FLOAT32 if kept is None else table_from_json(kept, run / PROBE / "energy.json")


def probe_predictions(run: OpenRun) -> None:
    """Write one run's answers on the whole test part."""
    from saccade.probe import predict
    from saccade.train.provenance import hardware

    run.store("predictions", {**predict(run.model, run.batches()).summary(), "hardware": hardware(run.device)})


def _default_folder(runs: Sequence[Path]) -> Path:
    if len(runs) == 1:
        return runs[0] / "report"
    return Path(os.path.commonpath([path.resolve() for path in runs])) / "report"
