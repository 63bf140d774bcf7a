"""What a run's folder holds, read without trusting that it is all there."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from saccade.arrays import read_arrays
from saccade.files import FileError, read_file, read_object
from saccade.runs import CARD, CONFIG, GRID_RUNS, METRICS, PROBE, PROBES, RESULT

Arrays = dict[str, np.ndarray]


@dataclass
class Run:
    """The parts of a run that were found; a part that is missing or damaged is None."""

    path: Path
    label: str = ""
    config: dict[str, Any] | None = None
    #: column -> one number per epoch, NaN where there is none
    metrics: dict[str, list[float]] | None = None
    result: dict[str, Any] | None = None
    card: dict[str, Any] | None = None
    #: name of the probe -> its JSON
    probes: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, Arrays] = field(default_factory=dict)
    #: probes that looked at other weights than the run has now, and are left out
    stale: list[str] = field(default_factory=list)
    #: files that are there but cannot be used, and why
    damaged: list[str] = field(default_factory=list)

    def setting(self, name: str) -> Any:
        """A field of the configuration, or None."""
        return (self.config or {}).get(name)

    def score(self, name: str) -> Any:
        """A field of the result, or None."""
        return (self.result or {}).get(name)


def read_run(path: Path | str) -> Run:
    """Read a run's folder.

    Raises:
        FileNotFoundError: there is no such folder, or nothing of a run in it.
    """
    run = Run(Path(path))
    if not run.path.is_dir():
        raise FileNotFoundError(f"There is no folder {run.path}. Name the folder of a training run.")
    run.config, run.result, run.card = (_json(run, name) for name in (CONFIG, RESULT, CARD))
    run.metrics = _metrics(run)
    for name in PROBES:
        content = _json(run, f"{PROBE}/{name}.json")
        if content is None:
            continue
        if _is_stale(run, content):
            run.stale.append(name)
        else:
            run.probes[name] = content
            run.arrays[name] = _arrays(run, f"{PROBE}/{name}.npz")
    if not run.damaged and not run.probes and not run.stale and run.config is run.result is run.metrics is None:
        raise FileNotFoundError(
            f"{run.path} is not the folder of a run: it has no {CONFIG}, {METRICS}, {RESULT}, and no {PROBE}/."
        )
    run.label = run.path.resolve().name
    return run


def runs_in(path: Path | str) -> list[Path]:
    """The folder of a run as it is; of that of an ablation, the folders of its runs.

    Raises:
        FileNotFoundError: an ablation without a run that has begun.
    """
    path = Path(path)
    if not (path / GRID_RUNS).is_dir() or (path / CONFIG).exists():
        return [path]
    runs = sorted(config.parent for config in (path / GRID_RUNS).glob(f"*/{CONFIG}"))
    if not runs:
        raise FileNotFoundError(f"{path} is the folder of an ablation, but holds no run: {path / GRID_RUNS} is empty.")
    return runs


def read_runs(paths: Sequence[Path | str]) -> list[Run]:
    """Several runs, labelled by the shortest setting that tells them apart: attention, else data too, else the folder.

    The folder of an ablation stands for all its runs.

    Raises:
        ValueError: no folder, or one twice.
        FileNotFoundError: see `read_run`.
    """
    runs = [read_run(path) for path in chain.from_iterable(map(runs_in, paths))]
    if not runs:
        raise ValueError("A report needs the folder of a run.")
    places = [run.path.resolve() for run in runs]
    if len(set(places)) < len(places):
        raise ValueError("A folder was given twice. Name every run once.")
    for settings in (("attention",), ("data", "attention"), ("recipe", "attention"), ("attention", "seed")):
        labels = [" ".join(str(run.setting(name)) for name in settings) for run in runs]
        if len(runs) > 1 and len(set(labels)) == len(runs) and all(run.config for run in runs):
            for run, label in zip(runs, labels, strict=True):
                run.label = label
            break
    return runs


def _is_stale(run: Run, content: dict[str, Any]) -> bool:
    """Whether a probe looked at other weights than those on the run's card. Probes of 0.1.0 do not say at which."""
    looked_at = content.get("weights_sha256")
    return looked_at is not None and looked_at != (run.card or {}).get("sha256")


def _json(run: Run, name: str) -> dict[str, Any] | None:
    path = run.path / name
    if not path.is_file():
        return None
    try:
        return read_object(path)
    except FileError as error:
        run.damaged.append(f"{name} cannot be used: {error.problem}")
        return None


def _metrics(run: Run) -> dict[str, list[float]] | None:
    path = run.path / METRICS
    if not path.is_file():
        return None
    try:
        rows = list(csv.DictReader(read_file(path).decode("utf-8").splitlines()))
    except (csv.Error, UnicodeDecodeError, FileError) as error:
        run.damaged.append(f"{METRICS} cannot be read as a table ({error}).")
        return None
    if not rows or "epoch" not in rows[0]:
        run.damaged.append(f"{METRICS} holds no epochs.")
        return None
    return {name: [_number(row[name]) for row in rows] for name in rows[0] if name}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _arrays(run: Run, name: str) -> Arrays:
    path = run.path / name
    if not path.is_file():
        return {}
    try:
        return read_arrays(path)
    except FileError as error:
        run.damaged.append(f"{name} cannot be read: {error.problem}")
        return {}
