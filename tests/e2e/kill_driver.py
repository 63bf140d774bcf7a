"""Runs command lines in forked children and kills them with SIGKILL at chosen moments.

Everything heavy is imported once, here; a child then starts in no time. Called as

    python kill_driver.py '[[words, kill point or null], ...]'

with a kill point like ["batch", 7]; prints the children's exit codes (-9: killed) as JSON. A child's output goes to
<name>.log in the current folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

import saccade.models.weights
import saccade.train.evaluate
import saccade.train.run
from saccade.cli import main
from saccade.train.learning.classification import ClassificationTask


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nth_call(owner: object, name: str, n: int, then: object) -> None:
    """Run `then(*arguments)` instead of the n-th call (from 1) of a function."""
    original = getattr(owner, name)
    count = 0

    def counted(*arguments: object, **options: object) -> object:
        nonlocal count
        count += 1
        return then(*arguments) if count == n else original(*arguments, **options)

    setattr(owner, name, counted)


def half_a_checkpoint(content: object, path: Path) -> None:
    """What a writer leaves that dies in the middle of a file."""
    ORIGINAL_SAVE(content, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    die()


ORIGINAL_SAVE = torch.save


def arm(moment: str, n: int) -> None:
    if moment == "batch":
        nth_call(ClassificationTask, "training_step", n, lambda *_: die())
    elif moment == "scoring":
        nth_call(ClassificationTask, "validation_step", n, lambda *_: die())
    elif moment == "writing":
        nth_call(torch, "save", n, half_a_checkpoint)
    elif moment == "renaming":
        nth_call(Path, "replace", n, lambda *_: die())
    elif moment == "card":
        nth_call(saccade.models.weights, "write_object", n, lambda *_: die())
    elif moment == "result":
        nth_call(saccade.train.run, "finish", n, lambda *_: die())
    elif moment in ("SIGINT", "SIGTERM", "SIGHUP"):
        nth_call(ClassificationTask, "count_loss", n, lambda *_: os.kill(os.getpid(), signal.Signals[moment]))
    elif moment.startswith("scoring SIG"):
        number = signal.Signals[moment.removeprefix("scoring ")]
        nth_call(saccade.train.evaluate.Scoreboard, "update", n, lambda *_: os.kill(os.getpid(), number))
    else:
        assert moment == "after", moment


def run(words: list[str], point: list | None) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        name = Path(words[words.index("--run-dir") + 1]).name if "--run-dir" in words else words[0]
        log = os.open(f"{name}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if point:
            arm(*point)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits "ignore"
        os._exit(main(words))
    if point and point[0] == "after":  # milliseconds
        time.sleep(point[1] / 1000)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    print(json.dumps([run(words, point) for words, point in json.loads(sys.argv[1])]))
