"""From the folders of runs to a report on disk: one HTML page, and the same as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.atomic import write_text
from saccade.report.blocks import Block, Fold, Missing, Picture, Report, Section
from saccade.report.content import Run, read_runs
from saccade.report.figures import write_png
from saccade.report.markdown import render_markdown
from saccade.report.page import render_html
from saccade.report.sections import SECTIONS, SectionMaker
from saccade.report.sections.parts import listed

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"
#: what half-filled or foreign JSON makes of a section
_UNUSABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class WrittenReport:
    """Where a report lies, and its size."""

    html: Path
    markdown: Path
    html_bytes: int


def write_report(paths: Sequence[Path | str], out: Path) -> WrittenReport:
    """Write report.html, report.md and, for the latter, figures/ into a folder.

    Args:
        paths: one run's folder, or several to compare. Only JSON, CSV and arrays are read: no weights, no data sets.
        out: made if it is not there.

    Raises:
        FileNotFoundError: a folder that does not exist or holds nothing of a run.
        ValueError: a folder twice, or none.
    """
    return write_page(build_report(read_runs(paths)), out)


def write_page(report: Report, out: Path) -> WrittenReport:
    """Write a report into a folder, which is made: HTML, and Markdown with its figures."""
    figures = out / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    html = render_html(report)
    write_text(out / HTML, html)
    for picture in pictures(block for section in report.sections for block in section.blocks):
        write_png(figures / f"{picture.name}.png", picture.figure)
    write_text(out / MARKDOWN, render_markdown(report, FIGURES))
    return WrittenReport(out / HTML, out / MARKDOWN, len(html.encode()))


def build_report(runs: Sequence[Run]) -> Report:
    """The report as sections of blocks; a section that cannot be made says so."""
    title = f"{runs[0].label}" if len(runs) == 1 else f"Comparison of {len(runs)} runs"
    recipes = dict.fromkeys(str(run.setting("recipe")) for run in runs if run.config)
    subtitle = (
        f"{listed(runs)}. Recipe: {', '.join(recipes) or 'unknown'}."
        if len(runs) > 1
        else (f"Recipe: {', '.join(recipes) or 'unknown'}.")
    )
    return Report(title, subtitle, [Section(name, title, _blocks(make, runs)) for name, title, make in SECTIONS])


def _blocks(make: SectionMaker, runs: Sequence[Run]) -> list[Block]:
    try:
        return make(runs)
    except _UNUSABLE as error:
        said = f"{type(error).__name__}: {error}"
        return [Missing(f"This part cannot be made from the files that are there ({said}).")]


def pictures(blocks: Iterator[Block]) -> Iterator[Picture]:
    """All pictures, those in folds included."""
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Fold):
            yield from pictures(iter(block.blocks))
