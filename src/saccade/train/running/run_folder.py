"""The folder of a run: what lies where, when one may be used, and how its configuration is kept."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from saccade.atomic import remove_leftovers
from saccade.files import FileError, read_object, write_object
from saccade.runs import (
    CARD,
    CHECKPOINT,
    CHECKPOINT_BEFORE,
    CHECKSUMS,
    CONFIG,
    EARLIER,
    LOCK,
    METRICS,
    RESULT,
    TENSORBOARD,
    WEIGHTS,
)
from saccade.train.check import check_experiment
from saccade.train.config import FREE_ON_RESUME, Experiment, differences, from_dict


class RunFolder:
    """Names of everything in a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG
        self.metrics = path / METRICS
        self.result = path / RESULT
        self.weights = path / WEIGHTS
        self.card = path / CARD
        self.checkpoint = path / CHECKPOINT
        self.checkpoint_before = path / CHECKPOINT_BEFORE
        self.tensorboard = path / TENSORBOARD
        self.checksums = path / CHECKSUMS

    def create(self, experiment: Experiment) -> None:
        """Make the folder, clear away what a killed run left half written, and write config.json.

        The result and weights of a run that has ended and goes on are set aside, in earlier/epochs-N: what lies in the
        folder itself is always of the experiment in its config.json.

        Raises:
            ValueError: the system does not let it be made.
        """
        self.make()
        remove_leftovers(self.path)
        self._set_aside()
        write_object(self.config, asdict(experiment))

    def make(self) -> None:
        """The empty folder; ValueError if the system does not let it be made."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"The folder {self.path} cannot be made ({error.strerror}). Choose another --run-dir."
            ) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder, made if need be, for this process alone; the system lets go of it when the process ends.

        Raises:
            ValueError: another process holds it, or it cannot be made.
        """
        self.make()
        lock = FileLock(self.path / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(
                f"Another process is at work in {self.path}. Wait until it has ended, or choose another --run-dir."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _set_aside(self) -> None:
        result = self.read_result()
        if result is None:
            return
        aside = self.path / EARLIER / f"epochs-{result['epochs']}"
        aside.mkdir(parents=True, exist_ok=True)
        for file in (
            self.result,
            self.checksums,
            self.card,
            self.weights,
        ):  # the result first: with it the run would count as finished
            if file.is_file():
                file.replace(aside / file.name)

    def read_config(self) -> Experiment:
        """The experiment of the run in this folder; ValueError that names the file if it cannot be one."""
        content = read_object(self.config)
        try:
            experiment = from_dict(content)
            check_experiment(experiment)
        except ValueError as error:
            raise FileError(self.config, str(error)) from None
        return experiment

    def is_finished(self, experiment: Experiment) -> bool:
        """Whether the run has reached the experiment's last epoch and reported."""
        result = self.read_result()
        return result is not None and result["epochs"] == experiment.epochs

    def read_result(self) -> dict[str, Any] | None:
        """What the finished run reported; None while it is not finished."""
        return read_object(self.result) if self.result.is_file() else None

    def read_metrics(self) -> list[dict[str, str]]:
        """The table of epochs, as it is written: one row per epoch."""
        with self.metrics.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def find_run(path: Path) -> RunFolder:
    """The folder of a run that is there; FileNotFoundError if there is no config.json in it."""
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise FileNotFoundError(f"{path} is not the folder of a run: there is no {folder.config.name} in it.")
    return folder


def default_run_dir(recipe: str) -> Path:
    """runs/RECIPE/<time>, a folder that does not exist yet."""
    base = Path("runs") / recipe / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}_{number}"), number + 1
    return path


def open_run(path: Path, experiment: Experiment, resume: bool) -> RunFolder:
    """The folder for a run, or of the run to go on with. Nothing is written yet: see `RunFolder.create`.

    Raises:
        ValueError: the folder is in use and `resume` is off; or it holds a run of another experiment.
    """
    folder = RunFolder(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; the run needs a folder. Choose another --run-dir.")
    if path.is_dir() and any(inside.name != LOCK for inside in path.iterdir()) and not resume:
        raise ValueError(f"{path} already exists; add --resume to go on with it, or choose another --run-dir.")
    if folder.config.is_file():
        _check_same(folder.read_config(), experiment, path)
    elif folder.checkpoint.is_file():
        raise ValueError(
            f"{path} holds a checkpoint but no config.json, so what it belongs to is unknown. Choose another --run-dir."
        )
    return folder


def _check_same(old: Experiment, new: Experiment, path: Path) -> None:
    changed = {k: v for k, v in differences(old, new).items() if k not in FREE_ON_RESUME}
    if "code_sha256" in changed:
        raise ValueError(
            f"{new.code or old.code} is not the code that the run in {path} was started with. Put it back as it was, "
            "or choose another --run-dir."
        )
    if changed:
        listed = ", ".join(f"{name} ({was!r} there, {now!r} now)" for name, (was, now) in changed.items())
        raise ValueError(
            f"{path} holds a run of another experiment; it differs in {listed}. Leave these out to go on with it, or "
            f"choose another --run-dir. Only {', '.join(FREE_ON_RESUME)} may change in a resumed run."
        )
