"""saccade report: one page about a run, or comparing several, and the same as Markdown."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from saccade.cli.inside import InsideArguments, OpenRun, open_run, parse_inside
from saccade.errors import require
from saccade.report.content import runs_in
from saccade.runs import PROBES


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
            probe_all(open_run(path, arguments))

    from saccade.report.build import write_report

    written = write_report(arguments.runs, arguments.out or _default_folder(arguments.runs))
    print(f"{written.html} ({written.html_bytes / 1e6:.2f} MB)\n{written.markdown}")
    return 0


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
