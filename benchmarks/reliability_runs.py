"""Runs that are disturbed: the kinds of them, and forked processes that are killed, told to stop, or out of disk."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pages import ROOT
from saccade.cli import main
from saccade.runs import EARLIER
from saccade.train.running.integrity import inspect_run, is_whole

sys.path.append(str(ROOT / "tests" / "unit" / "events"))
import event_files


def words(text: str) -> list[str]:
    """A command line in words."""
    return text.split()


SMALL = words("--width 0.05 --max-batches 3 --batch-size 8 --epochs 3 --device cpu")
PLAIN = words("train digits-dta --model fashion_net --attention tcja --model-options output_neuron False") + SMALL
SIDE = 16
#: how long a disturbed command may take before it counts as hanging
PATIENCE_S = 900.0  # others may use the cores


@dataclass(frozen=True)
class Kind:
    """A command that can be disturbed and given again until it ends."""

    #: words for a folder of its own and the folder of data
    words: Callable[[Path, Path], list[str]]
    #: what has to be the same in the end, and of which files
    compared: Callable[[Path], Any]
    #: the folders of runs in its folder
    runs: Callable[[Path], list[Path]] = field(default=lambda folder: [folder])


def trained(more: str = "", start: list[str] = PLAIN) -> Kind:
    def command(folder: Path, data: Path) -> list[str]:
        return [*start, *words(more.replace("DATA", str(data))), "--run-dir", str(folder), "--resume"]

    return Kind(command, run_content)


def run_content(folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """Weights, and the table of epochs without its times."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return (folder / "weights.safetensors").read_bytes(), rows


def grid_content(folder: Path) -> tuple[Any, ...]:
    (record,) = (json.loads(path.read_text()) for path in (folder / "records").glob("*.json"))
    return *run_content(folder / "runs" / record["cell"]), record["energy"]["sums"]


def cache_content(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((path.name, path.read_bytes()) for path in (folder / "frames").rglob("clips-*.npy"))


def report_content(folder: Path) -> tuple[str, ...]:
    """Both pages are whole; their pictures are not compared."""
    return (folder / "report.html").read_text().strip()[-7:], (folder / "report.md").read_text().partition("\n")[0]


VAE = words(
    f"train mnist-fsvae --data folder --image-size {SIDE} --steps 3 --width 0.1 --batch-size 4 --epochs 2 "
    "--max-batches 3 --device cpu --model-options latent 8 k 4"
)
EVENTS = words("train digits-dta --data nmnist --model fashion_net --attention dta --steps 3") + SMALL
GRID = words("ablate digits-dta --vary attention=tcja --seeds 1 --cell 0 --model fashion_net") + SMALL

KINDS: dict[str, Kind] = {
    "classification, SGD": trained(),
    "mixing, averaged weights, AdamW": trained("--mix mixup --ema-decay 0.9 --optimizer adamw --lr 0.01"),
    "CutMix, parts of batches, clipping": trained("--mix cutmix --accumulate 2 --cutout 3 --gradient-clip 1"),
    "bfloat16": trained("--precision bfloat16 --optimizer adam --lr 0.01"),
    "recordings": trained("--data-root DATA/events", EVENTS),
    "the VAE": trained("--data-root DATA/pictures", VAE),
    "a run of an ablation": Kind(
        lambda folder, data: [*GRID, "--out", str(folder)],
        grid_content,
        lambda folder: sorted(path for path in (folder / "runs").glob("*") if path.is_dir()),
    ),
    "saccade data prepare": Kind(
        lambda folder, data: [*["data", "prepare", "nmnist", "--steps", "4", "--data-root"], str(folder)],
        cache_content,
        lambda folder: [],
    ),
    "saccade report": Kind(
        lambda folder, data: ["report", str(data / "run"), "--out", str(folder)], report_content, lambda folder: []
    ),
}


class Place:
    """A folder with data, undisturbed results, and scratch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.seconds: dict[str, float] = {}
        self._whole: dict[str, Any] = {}
        if not self.data.is_dir():
            event_files.nmnist_tree(self.data / "events", 3, 1)
            pictures(self.data / "pictures")
            assert self.undisturbed([*PLAIN, "--run-dir", str(self.data / "run")], folder / "run.log") == 0

    def undisturbed(self, words: list[str], log: Path) -> int:
        return wait(start(words, log))

    def fresh(self, name: str, kind: str) -> Path:
        """A folder for a case, as it is before the command."""
        folder = self.folder / "case" / name
        shutil.rmtree(folder, ignore_errors=True)
        if kind == "saccade data prepare":
            shutil.copytree(self.data / "events" / "NMNIST", folder / "NMNIST")
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder

    def whole(self, kind: str) -> Any:
        """What an undisturbed command leaves, and its seconds."""
        if kind not in self._whole:
            folder, begun = self.fresh("whole", kind), time.perf_counter()
            log = self.folder / "whole.log"
            if self.undisturbed(KINDS[kind].words(folder, self.data), log):
                raise RuntimeError(f"{kind} fails undisturbed: {log.read_text()[-3000:]}")
            self.seconds[kind] = time.perf_counter() - begun
            self._whole[kind] = KINDS[kind].compared(folder)
        return self._whole[kind]


def pictures(root: Path) -> None:
    """A few little pictures of one class."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 6)):
        folder = root / part / "faces"
        folder.mkdir(parents=True)
        for i in range(count):
            Image.fromarray(draw.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def start(words: list[str], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """A command in a forked process, into which everything is imported already; its number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.setpgrp()  # a session of its own would have a priority of its own
        output = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        torch.set_num_threads(1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        prepare()
        code = main(words)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(child: int, patience: float = PATIENCE_S) -> int | None:
    """Its exit code, negative for a signal; None for one that hung, and was killed."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def damaged(kind: Kind, folder: Path) -> list[str]:
    """What is not whole under its final name, right after a process has died."""
    found = []
    for run in kind.runs(folder):
        if run.is_dir() and any(path.name != ".lock" and not path.name.endswith(".part") for path in run.iterdir()):
            if not (run / "config.json").exists():
                continue
            findings = inspect_run(run).findings
            if not is_whole(findings):
                found += [f"{f.file}: {f.what}" for f in findings if f.level == "error"]
    for path in [*folder.rglob("report.html"), *folder.rglob("index.json"), *folder.glob("records/*.json")]:
        text = path.read_text()
        if not text.rstrip().endswith("</html>" if path.suffix == ".html" else "}"):
            found.append(f"{path.name} is cut off")
    return [what for what in found if EARLIER not in what]


def finished(place: Place, kind: str, folder: Path) -> str | None:
    """Give the command again until it ends; what is wrong then, or None."""
    log = place.folder / "last.log"
    code = wait(start(KINDS[kind].words(folder, place.data), log))
    if code != 0:
        return f"given again it ended with {code}: {log.read_text()[-800:]}"
    try:
        same = KINDS[kind].compared(folder) == place.whole(kind)
    except Exception as error:
        return f"its result cannot be read: {error!r}"
    return None if same else "it ended with another result than an undisturbed one"


def kill(place: Place, kind: str, draw: random.Random) -> dict[str, Any]:
    """Killed at one to three random moments, looked at after each, and given again."""
    folder, wrong, kills = place.fresh("kill", kind), None, 0
    place.whole(kind)
    for _ in range(draw.randint(1, 3)):
        child = start(KINDS[kind].words(folder, place.data), place.folder / "killed.log")
        time.sleep(draw.uniform(0, place.seconds[kind]))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        kills += wait(child) == -signal.SIGKILL
        half = damaged(KINDS[kind], folder)
        wrong = wrong or (f"after a kill: {'; '.join(half)}" if half else None)
    return {"kind": kind, "kills": kills, "wrong": wrong or finished(place, kind, folder)}


def arm(n: int, torn: bool) -> Callable[[], None]:
    """Kill at the n-th step of writing anything: an opening, a write, a sync, a link, a rename, a removal.

    Torn: at the n-th sync, half of what was written is lost first.
    """

    def prepare() -> None:
        count = 0

        def counted(owner: Any, name: str, counts: Callable[..., bool] = lambda *a, **o: True) -> None:
            original = getattr(owner, name)

            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                if counts(*arguments, **options):
                    count += 1
                    if count == n:
                        if torn:
                            with suppress(OSError):
                                os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                        os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)

            setattr(owner, name, call)

        if torn:
            counted(os, "fsync")
            return
        for owner, name in ((os, "fsync"), (os, "link"), (Path, "replace"), (Path, "unlink"), (Path, "write_text")):
            counted(owner, name)
        counted(Path, "open", lambda path, mode="r", *a, **o: bool({*mode} & {*"wax+"}))
        counted(torch, "save")

    return prepare


def fault(place: Place, kind: str, n: int, torn: bool) -> dict[str, Any]:
    """Killed at the n-th step of writing, looked at, and given again."""
    folder = place.fresh("fault", kind)
    code = wait(start(KINDS[kind].words(folder, place.data), place.folder / "fault.log", arm(n, torn)))
    half = damaged(KINDS[kind], folder)
    wrong = f"after a fault: {'; '.join(half)}" if half else finished(place, kind, folder)
    return {"kind": kind, "kills": int(code == -signal.SIGKILL), "wrong": wrong}


def full(place: Place, kind: str, draw: random.Random) -> dict[str, Any]:
    """No file may grow beyond some bytes, which is what a full disk is to a writer; then there is room again."""
    folder, log = place.fresh("full", kind), place.folder / "full.log"
    most = int(10 ** draw.uniform(2.5, 5.5))

    reader, writer = os.pipe()  # what it says must not be cut

    def prepare() -> None:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    child = start(KINDS[kind].words(folder, place.data), log, prepare)
    os.close(writer)
    code = wait(child)
    os.set_blocking(reader, False)
    said = b""
    with suppress(BlockingIOError):
        while part := os.read(reader, 1 << 16):
            said += part
    os.close(reader)
    last = said.decode(errors="replace").strip().splitlines()[-1:] or [""]
    wrong = None
    if code not in (0, 1, 2):
        wrong = f"it ended with {code}: {said.decode(errors='replace')[-800:]}"
    elif b"Traceback" in said:
        wrong = f"a traceback: {said.decode(errors='replace')[-800:]}"
    elif code == 2 and "cannot be used: " not in last[0]:
        wrong = f"it said {last[0][:300]}"
    half = damaged(KINDS[kind], folder)
    wrong = wrong or (f"on a full disk: {'; '.join(half)}" if half else None) or finished(place, kind, folder)
    return {"kind": kind, "refused": int(code != 0), "wrong": wrong}


TOLD = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def told(place: Place, kind: str, draw: random.Random) -> dict[str, Any]:
    """Told to stop at a random moment: a sentence, the right exit code, and it goes on."""
    folder, log = place.fresh("told", kind), place.folder / "told.log"
    place.whole(kind)
    number = draw.choice(list(TOLD))
    child = start(KINDS[kind].words(folder, place.data), log)
    time.sleep(draw.uniform(0.05, place.seconds[kind]))
    with suppress(ProcessLookupError):
        os.kill(child, number)
    code = wait(child)
    said = log.read_text()
    wrong = None
    if code not in (0, TOLD[number], -number):  # before the command began, or after it ended
        wrong = f"{number.name}: it ended with {code}: {said[-800:]}"
    elif "Traceback" in said:
        wrong = f"{number.name}: a traceback: {said[-800:]}"
    elif code == TOLD[number] and f"Stopped by {number.name}" not in said and "Go on from the last whole" not in said:
        wrong = f"{number.name}: it said {said[-300:]}"
    half = damaged(KINDS[kind], folder)
    wrong = wrong or (f"told to stop: {'; '.join(half)}" if half else None) or finished(place, kind, folder)
    return {"kind": kind, "stopped": int(code != 0), "wrong": wrong}
