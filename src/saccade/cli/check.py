"""saccade check: whether the folder of a run, or of an ablation, is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from saccade.cli.arguments import parse
from saccade.errors import require
from saccade.files import FileError, read_object
from saccade.runs import GRID_RUNS, RESULT

if TYPE_CHECKING:
    from saccade.train.running.integrity import Finding


@dataclass(kw_only=True)
class CheckArguments:
    """What to look at."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")] = ()
    """Folders of runs, finished or not, or of ablations."""


def main(words: Sequence[str]) -> int:
    """Look at every file; exit code 1 if one is damaged. Nothing is changed."""
    text = "Look at every file of a run: is it whole, as it was written, and of this run? Nothing is changed."
    arguments = parse(CheckArguments, words, "saccade check", text=text)
    if not arguments.runs:
        raise ValueError("saccade check needs the folder of a run: saccade check RUN. `saccade train` makes one.")
    for library in ("filelock", "safetensors", "torchmetrics"):
        require(library, "train")
    whole = [_check(path) for path in arguments.runs]  # all of them, also behind a damaged one
    return 0 if all(whole) else 1


def _check(path: Path) -> bool:
    """Say what is found in a folder; returns whether nothing in it is damaged."""
    from saccade.report.content import runs_in
    from saccade.train.running.integrity import inspect_run

    runs = runs_in(path)
    whole = True
    for run in runs:
        found = inspect_run(run)
        whole &= _say(run, found.findings, f"{len(found.sound)} files are sound")
    if (path / GRID_RUNS).is_dir():
        findings, sound = check_records(path)
        whole &= _say(path, findings, f"{len(runs)} runs; {sound} records are sound")
    return whole


def _say(path: Path, findings: Sequence[Finding], sound: str) -> bool:
    errors = sum(finding.level == "error" for finding in findings)
    print(f"{path}: {sound}; {errors or 'no'} {'error' if errors == 1 else 'errors'}.")
    for finding in findings:
        print(f"  {finding.level + ':':6} {finding.file}: {finding.what}")
    return not errors


def check_records(path: Path) -> tuple[list[Finding], int]:
    """What is wrong with the records and marks of an ablation, and how many are sound."""
    from saccade.ablate.folder import GridFolder
    from saccade.train.running.integrity import Finding

    folder, findings, sound = GridFolder(path), [], 0
    for record in sorted([*folder.records.glob("*.json"), *folder.runs.glob("*.json"), *path.glob("*.json")]):
        name = str(record.relative_to(path))
        try:
            content = read_object(record)
        except FileError as error:
            findings.append(Finding("error", name, error.problem))
            continue
        result = folder.run(record.stem) / RESULT
        if record.parent == folder.records and result.is_file():
            try:
                differing = [key for key, value in read_object(result).items() if content.get(key) != value]
            except FileError:
                differing = []  # said where its run was looked at
            if differing:
                findings.append(Finding("stale", name, f"has another {differing[0]} than the {RESULT} of its run."))
        sound += 1
    return findings, sound
