"""Whether the folder of a run is whole: every file readable, as it was written, and of the same run as the others."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from saccade.arrays import read_arrays
from saccade.atomic import SUFFIX
from saccade.files import FileError, printable, read_file, read_object, sha256_of
from saccade.models.weights import load_weights, read_card
from saccade.runs import CARD, CONFIG, EARLIER, METRICS, PROBE, RESULT, WEIGHTS
from saccade.train.config import Experiment
from saccade.train.running.checkpoint import check_tie, read_checkpoint
from saccade.train.running.run_folder import RunFolder

#: files of a finished run whose hashes are kept
NAMED = (CONFIG, METRICS, WEIGHTS, CARD, RESULT)


@dataclass(frozen=True)
class Finding:
    """Something to know about a file: an error is damage; stale is of another state of the run; a note is neither."""

    level: Literal["error", "stale", "note"]
    file: str
    what: str


class Inspection:
    """Looks at the folder of a run, file by file, and writes down what it finds. Nothing is changed."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path)
        self.findings: list[Finding] = []
        #: files that were read and found sound
        self.sound: list[str] = []

    def run(self) -> Inspection:
        """Look at everything."""
        folder = self.folder
        experiment = self._try(folder.config, folder.read_config)
        epochs = self._metrics()
        self._checkpoints(experiment, epochs)
        result = self._try(folder.result, partial(read_object, folder.result)) if folder.result.is_file() else None
        card = self._weights(folder.path)
        self._belong(experiment, epochs, result, card)
        self._checksums()
        self._probes(card)
        for earlier in sorted((folder.path / EARLIER).glob("*")):
            self._weights(earlier)
            if (earlier / RESULT).is_file():
                self._try(earlier / RESULT, partial(read_object, earlier / RESULT))
        self._surroundings()
        return self

    def say(self, level: Literal["error", "stale", "note"], path: Path, what: str) -> None:
        """Write a finding down."""
        self.findings.append(Finding(level, printable(self._name(path)), what))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder.path))

    def _try(self, path: Path, read: Callable[[], Any]) -> Any:
        """What a reader makes of a file; None, and a finding, if it refuses."""
        try:
            found = read()
        except FileNotFoundError:
            self.say("error", path, "is missing.")
        except FileError as error:
            self.say("error", path, error.problem)
        except (ValueError, OSError) as error:
            self.say("error", path, str(error))
        else:
            self.sound.append(self._name(path))
            return found
        return None

    def _metrics(self) -> int | None:
        """How many epochs the table has."""
        path = self.folder.metrics
        if not path.is_file():
            return None

        def read() -> int:
            try:
                rows = list(csv.DictReader(read_file(path).decode("utf-8").splitlines(), strict=True))
                for number, row in enumerate(rows, 1):
                    if None in row or None in row.values() or int(row["epoch"]) != number:
                        raise FileError(path, f"its row {number} is not that of epoch {number}.")
                    if not math.isfinite(float(row["seconds"])):
                        raise FileError(path, f"its row {number} has no time.")
            except (csv.Error, KeyError, ValueError) as error:
                if isinstance(error, FileError):
                    raise
                raise FileError(path, f"it is no table of epochs ({error}).") from None
            return len(rows)

        return self._try(path, read)

    def _checkpoints(self, experiment: Experiment | None, epochs: int | None) -> None:
        for path in (self.folder.checkpoint, self.folder.checkpoint_before):
            if not path.is_file():
                continue
            checkpoint = self._try(path, partial(read_checkpoint, path))
            if checkpoint is None or experiment is None:
                continue
            try:
                otherwise = check_tie(checkpoint, experiment, path)
            except ValueError as error:
                self.say("error", path, str(error))
                continue
            if otherwise:
                self.say("note", path, f"a run that goes on from it is {otherwise}.")
            done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
            if path == self.folder.checkpoint and epochs is not None and done < epochs:
                self.say(
                    "note", path, f"it holds {done} epochs, {self.folder.metrics.name} {epochs}: --resume mends it."
                )

    def _weights(self, folder: Path) -> dict[str, Any] | None:
        """The card of weights that are sound, or of other code's that cannot be tried here."""
        weights, path = folder / WEIGHTS, folder / CARD
        if not weights.is_file() and not path.is_file():
            return None
        card = self._try(path, partial(read_card, path))
        if card is None:
            return None
        if not weights.is_file():
            self.say("error", weights, f"is missing, but {CARD} is there.")
        elif card["sha256"] != sha256_of(weights):
            self.say("error", weights, f"has another hash than {CARD} says: one of the two is damaged.")
        elif card.get("code") or card.get("packages"):
            self.say("note", weights, "needs code of its own, so its network was not built; its hash is right.")
            self.sound.append(self._name(weights))
        else:
            self._try(weights, partial(load_weights, folder))
        return card

    def _belong(
        self, experiment: Experiment | None, epochs: int | None, result: Any, card: dict[str, Any] | None
    ) -> None:
        """Whether configuration, table, result and card are of one run."""
        folder = self.folder
        if result is None:
            ended = "" if epochs is None else f" after {epochs} epochs"
            self.say("note", folder.result, f"is not there: the run has not ended{ended}. --resume goes on with it.")
            return
        if card is None and not any(finding.file == CARD for finding in self.findings):
            self.say("error", folder.weights, "is missing, but the run has a result.")
        if experiment is not None and result.get("epochs") != experiment.epochs:
            self.say("stale", folder.result, f"is of {result.get('epochs')} epochs, the run of {experiment.epochs}.")
        if epochs is not None and result.get("epochs") != epochs:
            self.say("stale", folder.metrics, f"has {epochs} epochs, but the result is of {result.get('epochs')}.")
        for name in ("seed", "commit"):
            if card is not None and card.get(name) != result.get(name):
                self.say("error", folder.card, f"has {name} {card.get(name)!r}, but the result {result.get(name)!r}.")
        if experiment is not None and card is not None and card["model"].get("name") != experiment.model:
            self.say("error", folder.card, f"is of {card['model'].get('name')!r}, the run of {experiment.model!r}.")

    def _checksums(self) -> None:
        path = self.folder.checksums
        if not self.folder.result.is_file():
            return
        if not path.is_file():
            self.say("note", path, "is not there, as in runs of 0.1.0: changes of text files cannot be told.")
            return
        content = self._try(path, partial(read_object, path))
        hashes = None if content is None else content.get("sha256")
        if content is not None and not (isinstance(hashes, dict) and {*NAMED} <= hashes.keys()):
            self.say("error", path, f"does not name the hashes of {', '.join(NAMED)}.")
        for name, wanted in hashes.items() if isinstance(hashes, dict) else ():
            there = self.folder.path / Path(name).name
            if not there.is_file():
                self.say("error", there, "is missing.")
            elif sha256_of(there) != wanted:
                self.say("error", there, "is not what the run wrote: it was changed or damaged since.")

    def _probes(self, card: dict[str, Any] | None) -> None:
        for path in sorted((self.folder.path / PROBE).glob("*")):
            if path.suffix == ".npz":
                self._try(path, partial(read_arrays, path))
            elif path.suffix == ".json":
                content = self._try(path, partial(read_object, path))
                looked_at = (content or {}).get("weights_sha256")
                if looked_at is not None and looked_at != (card or {}).get("sha256"):
                    self.say("stale", path, "looked at other weights than the run has now.")

    def _surroundings(self) -> None:
        for path in sorted(self.folder.path.glob(f".*{SUFFIX}")):
            self.say("note", path, "was left by a process that was killed while it wrote; --resume removes it.")
        lock = self.folder.path / ".lock"
        if lock.is_file():
            try:
                with FileLock(lock, timeout=0):
                    pass
            except Timeout:
                self.say("note", lock, "a process is at work here, so files may change while they are looked at.")
            except OSError:
                pass  # a folder that cannot be written to: nobody is at work


def inspect_run(path: Path) -> Inspection:
    """Look at every file of a run's folder.

    Raises:
        FileNotFoundError: there is no such folder, or no run in it.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {path}. Name the folder of a training run, or of an ablation.")
    names = {RunFolder(path).config.name, RunFolder(path).checkpoint.name, RESULT, WEIGHTS, CARD}
    if not any((path / name).exists() for name in names):
        raise FileNotFoundError(f"{path} is not the folder of a run: it has none of {', '.join(sorted(names))}.")
    return Inspection(path).run()


def is_whole(findings: Iterable[Finding]) -> bool:
    """Whether nothing is damaged; what is stale is whole."""
    return all(finding.level != "error" for finding in findings)
