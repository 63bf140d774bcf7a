"""Files and words damaged at random, for every reader of what a run leaves: read, or refused in a sentence.

Each is made in a folder once, and then tried with one source of chance after the other: True, it was read; False, it
was refused. Whatever else is raised, a hang or more than a gibibyte is a fault. Used by tests/unit/test_fuzz_runs.py
and by benchmarks/reliability.py.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch

sys.path += [str(Path(__file__).parent / "unit" / name) for name in ("data", "events")]
from guard import LONG, guarded
from test_fuzz import damage
from test_fuzz_readers import strange

from saccade.arrays import read_arrays
from saccade.cli import is_users
from saccade.cli.train import parse_train
from saccade.models import create_model
from saccade.models.weights import load_weights, save_weights
from saccade.recipes import get_recipe
from saccade.report.content import read_run
from saccade.train.check import check_experiment
from saccade.train.config import Experiment
from saccade.train.running.checkpoint import RunCheckpointIO, read_checkpoint
from saccade.train.running.integrity import inspect_run
from saccade.train.running.run_folder import RunFolder

__all__ = ["FUZZERS", "LONG", "emptied"]

Attempt = Callable[[random.Random], bool]


def attempted(read: Callable[[], object], path: Path | None = None) -> bool:
    """True, it was read; False, it was refused in one line, which is the user's to mend."""
    try:
        with guarded():
            read()
    except (ValueError, FileNotFoundError) as error:
        if not is_users(error):
            raise
        if "\n" in str(error) or len(str(error)) > 2000:
            raise AssertionError(f"not one sentence: {error}") from error
        if path is not None and path.name not in str(error):
            raise AssertionError(f"{path.name} is not named: {error}") from error
        return False
    return True


def small_weights(folder: Path) -> Path:
    torch.manual_seed(0)
    model = create_model("fashion_net", num_classes=3, steps=2, input_size=(8, 8), width=0.05, attention="tcja")
    save_weights(folder / "weights.safetensors", model, {"score": {"test_accuracy": 0.5}})
    return folder


def cards(folder: Path) -> Attempt:
    """A card with something in it exchanged, or damaged as text."""
    path = small_weights(folder) / "card.json"
    sound = path.read_bytes()

    def attempt(draw: random.Random) -> bool:
        content = json.loads(sound)
        changed = (
            {**content, "model": strange(draw, content["model"])} if draw.random() < 0.7 else strange(draw, content)
        )
        path.write_bytes(json.dumps(changed).encode() if draw.random() < 0.7 else damage(sound, draw))
        return attempted(lambda: load_weights(folder))

    return attempt


def weights(folder: Path) -> Attempt:
    """A damaged safetensors file under a card that vouches for the sound one."""
    path = small_weights(folder) / "weights.safetensors"
    sound = path.read_bytes()

    def attempt(draw: random.Random) -> bool:
        damaged = damage(sound, draw)
        path.write_bytes(damaged)
        read = attempted(lambda: load_weights(folder))
        assert not read or damaged == sound, "damaged weights were loaded"
        return read

    return attempt


def configs(folder: Path) -> Attempt:
    """A config.json of other values, or damaged as text."""
    path = folder / "config.json"
    experiment = asdict(get_recipe("digits-dta"))

    def attempt(draw: random.Random) -> bool:
        sound = json.dumps(experiment).encode()
        path.write_bytes(json.dumps(strange(draw, experiment)).encode() if draw.random() < 0.7 else damage(sound, draw))
        return attempted(lambda: RunFolder(folder).read_config(), path)

    return attempt


def checkpoints(folder: Path) -> Attempt:
    """A damaged resume file: refused, whatever it was."""
    path = folder / "resume.ckpt"
    keys = ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")
    RunCheckpointIO(get_recipe("digits-dta")).save_checkpoint({key: {"x": torch.arange(50)} for key in keys}, path)
    sound = path.read_bytes()

    def attempt(draw: random.Random) -> bool:
        damaged = damage(sound, draw)
        path.write_bytes(damaged)
        read = attempted(lambda: read_checkpoint(path), path)
        assert not read or damaged == sound, "a damaged checkpoint was loaded"
        return read

    return attempt


def arrays(folder: Path) -> Attempt:
    """A damaged archive of arrays."""
    path = folder / "gates.npz"
    np.savez_compressed(path, a=np.arange(200), b=np.ones((3, 4)))
    sound = path.read_bytes()

    def attempt(draw: random.Random) -> bool:
        path.write_bytes(damage(sound, draw))
        return attempted(lambda: read_arrays(path), path)

    return attempt


def results(folder: Path) -> Attempt:
    """The folder of a finished run with one file damaged, read for a report and for `saccade check`."""
    small_weights(folder)
    experiment = get_recipe("digits-dta")
    texts = {
        "config.json": json.dumps(asdict(experiment)),
        "result.json": json.dumps(
            {"epochs": experiment.epochs, "seed": 0, "test_accuracy": 0.5, "versions": {"a": "1"}}
        ),
        "metrics.csv": "epoch,train_loss,seconds\n1,0.5,1.0\n2,0.25,1.0\n",
        "probe/gates.json": json.dumps({"gates": [{"name": "a", "deviation": 0.1}]}),
    }
    (folder / "probe").mkdir()

    def attempt(draw: random.Random) -> bool:
        for name, text in texts.items():
            (folder / name).write_text(text)
        name = draw.choice(list(texts))
        sound = texts[name].encode()
        as_text = name == "metrics.csv" or draw.random() < 0.5
        damaged = damage(sound, draw) if as_text else json.dumps(strange(draw, json.loads(sound))).encode()
        (folder / name).write_bytes(damaged)
        read = attempted(lambda: read_run(folder))
        attempted(lambda: inspect_run(folder))
        return read and not read_run(folder).damaged

    return attempt


VALUES = (
    "0",
    "-1",
    "1e30",
    "nan",
    "inf",
    "x",
    "",
    "True",
    "None",
    "10000000000000000000000",
    "../..",
    "\x00",
    "é",
    "[1]",
)


def command_lines(folder: Path) -> Attempt:
    """Options of `saccade train` with values that nobody would choose."""
    names = [
        f"--{field.name.replace('_', '-')}" for field in fields(Experiment) if field.name not in ("recipe", "code")
    ]

    def attempt(draw: random.Random) -> bool:
        words = ["digits-dta"]
        for _ in range(draw.randint(1, 3)):
            words += [draw.choice(names) if draw.random() < 0.9 else f"--{draw.choice('abcxyz')}"]
            words += [draw.choice(VALUES) for _ in range(draw.choice((0, 1, 1, 1, 2)))]

        def parsed() -> None:
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # the parser's own words
                    check_experiment(parse_train(words).experiment())
            except SystemExit as refused:  # of the wrong type: the parser has said so
                raise ValueError("refused") from refused

        try:
            return attempted(parsed)
        except ValueError as error:
            if str(error) == "refused":
                return False
            raise

    return attempt


FUZZERS: dict[str, Callable[[Path], Attempt]] = {
    "cards": cards,
    "weights": weights,
    "configs": configs,
    "resume files": checkpoints,
    "archives of arrays": arrays,
    "results of runs": results,
    "command lines": command_lines,
}


def emptied(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
