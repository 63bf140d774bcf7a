"""Try to break runs, files and memory, again and again, and count what held.

    python benchmarks/reliability.py                          # all campaigns, a short form of each
    python benchmarks/reliability.py --long                   # as many cases as docs/reliability.md shows
    python benchmarks/reliability.py kills faults --cases 40  # some of them
    python benchmarks/reliability_table.py                    # then write the tables of docs/reliability.md

Every campaign writes itself into benchmarks/results/reliability.json after every case, with commit, versions and
hardware, and goes on there when it is started again; --anew starts over. What a case draws depends on its number alone,
so a case that fell can be looked at: --first N --cases 1 --anew.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pages import ROOT
from reliability_runs import KINDS, Place, fault, full, kill, told
from saccade.atomic import write_text
from saccade.bench import timing

sys.path.append(str(ROOT / "tests"))
RESULTS = ROOT / "benchmarks" / "results" / "reliability.json"
SEED = 2026
#: failures that are kept in words
MOST_SAID = 50
#: seconds between two samples of memory
SAMPLE_S = 0.5
Case = Callable[[int, random.Random], dict[str, Any]]


@dataclass(frozen=True)
class Campaign:
    """Cases that are all to hold."""

    what: str
    short: int
    long: int
    #: from a scratch folder to what does a case: {"kind": ..., "wrong": None or a sentence, and counts}
    begin: Callable[[Path], Case]


#: one folder of data and of undisturbed results for all campaigns
shared_place = functools.cache(Place)


def disturbed(disturb: Callable[[Place, str, random.Random], dict[str, Any]]) -> Callable[[Path], Case]:
    """Every kind of run in turn."""

    def begin(folder: Path) -> Case:
        place, kinds = shared_place(folder), list(KINDS)
        return lambda i, draw: disturb(place, kinds[i % len(kinds)], draw)

    return begin


#: kinds of runs at which every step of writing is tried, and how many steps there are at most
FAULTED = ("mixing, averaged weights, AdamW", "saccade data prepare", "a run of an ablation", "the VAE")


def faults(folder: Path) -> Case:
    """Step by step through all that is written; every second case loses half of a file before."""
    place = shared_place(folder)

    def case(i: int, draw: random.Random) -> dict[str, Any]:
        n, torn = divmod(i // len(FAULTED), 2)
        return fault(place, FAULTED[i % len(FAULTED)], n + 1, bool(torn))

    return case


def damaged_files(folder: Path) -> Case:
    """One bit of one file of a finished run is flipped: `saccade check` finds it."""
    from saccade.train.running.integrity import inspect_run, is_whole

    place = shared_place(folder)
    run = place.data / "run"
    whole = {path: path.read_bytes() for path in sorted(run.glob("*")) if path.is_file() and path.name != ".lock"}

    def case(i: int, draw: random.Random) -> dict[str, Any]:
        path = list(whole)[i % len(whole)]
        damaged, at = bytearray(whole[path]), draw.randrange(len(whole[path]))
        damaged[at] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            found = not is_whole(inspect_run(run).findings)
        finally:
            path.write_bytes(whole[path])
        same = path.suffix == ".json" and not found and json.loads(damaged) == json.loads(whole[path])
        return {"kind": path.name, "wrong": None if found or same else f"bit {at} of {path.name} was not noticed"}

    return case


def fuzz(folder: Path) -> Case:
    """What a run leaves, damaged at random."""
    from fuzzers import FUZZERS, emptied

    names = list(FUZZERS)
    attempts = {name: FUZZERS[name](emptied(folder / "fuzz" / str(i))) for i, name in enumerate(names)}

    def case(i: int, draw: random.Random) -> dict[str, Any]:
        name, wrong, read = names[i % len(names)], None, False
        try:
            read = attempts[name](draw)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong = f"{type(error).__name__}: {error}"
        return {"kind": name, "read": int(read), "wrong": wrong}

    return case


#: tests that damage recordings, pictures, tables and caches, and how many cases they have at SACCADE_FUZZ=1
READERS = ("tests/unit/events/test_fuzz.py", "tests/unit/data/test_fuzz_readers.py", "tests/unit/data/test_arrays.py")
READER_CASES = 2000 + 500 + 150 + 480 + 600 + 400 + 100 + 300


def readers(folder: Path) -> Case:
    """Recordings in six formats, pictures in six, tables, indices and memories: the tests in their long mode."""

    def case(i: int, draw: random.Random) -> dict[str, Any]:
        words = [sys.executable, "-m", "pytest", "-n", "0", "-q", *READERS, "-k", "damaged or index"]
        environment = {**os.environ, "SACCADE_FUZZ": str(i + 1)}
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment)
        wrong = None if done.returncode == 0 else done.stdout[-1500:]
        return {"kind": "recordings, pictures, tables, caches", "files": READER_CASES * (i + 1), "wrong": wrong}

    return case


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slope(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Least squares through the later half of the samples: bytes per unit, and half of its 95 % interval."""
    from scipy.stats import linregress, t

    later = samples[len(samples) // 2 :]
    fit = linregress(*zip(*later, strict=True))
    return {"slope": float(fit.slope), "half_interval": float(t.ppf(0.975, len(later) - 2) * fit.stderr)}


#: forward passes between two samples of memory, in a case of the soak
PASSES = 100


def soak(folder: Path) -> Case:
    """Forward passes of a network as modules, deployed and as a stream: the same numbers, and flat memory."""
    import saccade

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.rand(3, 2, 2, 12, 12)
    nets = {}
    for gate in ("tcja", "dta"):
        options = {"num_classes": 5, "steps": 3, "in_channels": 2, "input_size": (12, 12), "width": 0.05}
        net = saccade.create_model("msresnet18", attention=gate, **options).eval()
        nets[f"{gate}, modules"] = net
        nets[f"{gate}, deployed"] = saccade.deploy(net, "exact")
    plain = saccade.create_model("msresnet18", **{**options, "attention": "none"}).eval()

    def streamed(x: torch.Tensor) -> torch.Tensor:
        stream = saccade.stream(plain)
        return torch.stack([stream(frame) for frame in x])

    nets["a stream"] = streamed
    with torch.inference_mode():
        expected = {name: net(x) for name, net in nets.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in nets}

    def case(i: int, draw: random.Random) -> dict[str, Any]:
        name, wrong = list(nets)[i % len(nets)], None
        with torch.inference_mode():
            for _ in range(PASSES):
                if not torch.equal(nets[name](x), expected[name]):
                    wrong = f"{name} gives other numbers after {len(samples[name]) * PASSES} passes"
        samples[name].append((len(samples[name]) * PASSES, resident()))
        found = slope(samples[name]) if len(samples[name]) > 8 else {}
        return {"kind": name, "passes": PASSES, "wrong": wrong, "latest": found}

    return case


def long_training(folder: Path) -> Case:
    """One training after the other in one process, epoch after epoch: flat memory, and the same weights each time."""
    from reliability_runs import PLAIN
    from saccade.cli import main as saccade_main

    samples: list[tuple[float, float]] = []
    first: list[bytes] = []

    def case(i: int, draw: random.Random) -> dict[str, Any]:
        run = folder / f"run{i}"
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            before, sys.stdout = sys.stdout, nowhere
            try:
                code = saccade_main([*PLAIN, "--epochs", "8", "--run-dir", str(run)])
            finally:
                sys.stdout = before
        weights = (run / "weights.safetensors").read_bytes()
        first.append(weights) if not first else None
        samples.append((i + 1, resident()))
        wrong = None if code == 0 and weights == first[0] else f"training {i} ended with {code}, or other weights"
        found = slope(samples) if len(samples) > 8 else {}
        return {"kind": "trainings of 8 epochs", "epochs": 8, "wrong": wrong, "latest": found}

    return case


CAMPAIGNS: dict[str, Campaign] = {
    "kills": Campaign("SIGKILL at random moments", len(KINDS), 120, disturbed(kill)),
    "faults": Campaign("SIGKILL at every step of writing", 8, 4 * 2 * 70, faults),
    "told": Campaign("Ctrl-C, SIGTERM and SIGHUP at random moments", 5, 90, disturbed(told)),
    "full": Campaign("a full disk", 5, 90, disturbed(full)),
    "bits": Campaign("one bit of one file flipped", 40, 2000, damaged_files),
    "fuzz": Campaign("files and words damaged at random", 70, 14_000, fuzz),
    "readers": Campaign("recordings, pictures, tables and caches damaged at random", 0, 4, readers),
    "soak": Campaign("memory of forward passes", 10, 1000, soak),
    "training": Campaign("memory of trainings", 1, 60, long_training),
}


def add(total: dict[str, Any], i: int, case: dict[str, Any]) -> None:
    """Count a case."""
    kind = total["kinds"].setdefault(case["kind"], {"cases": 0, "held": 0})
    kind["cases"] += 1
    kind["held"] += case["wrong"] is None
    for name, value in case.items():
        if isinstance(value, int) and name not in ("cases", "held"):
            kind[name] = kind.get(name, 0) + value
        elif isinstance(value, dict):
            kind.update(value)
    if case["wrong"] is not None and len(total["fell"]) < MOST_SAID:
        where = re.sub(r"/\S*/", ".../", str(case["wrong"]))
        total["fell"].append({"case": i, "kind": case["kind"], "wrong": where[:2000]})
    total["cases"] += 1


def cases(name: str, first: int, last: int, folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The cases of a campaign; none is prepared where none is left."""
    if first >= last:
        return
    case = CAMPAIGNS[name].begin(folder)
    for i in range(first, last):
        yield i, case(i, random.Random(f"{SEED} {name} {i}"))


def conduct(name: str, count: int, folder: Path, results: Path = RESULTS, anew: bool = False, first: int = 0) -> int:
    """Do what is left of a campaign; returns how many of its cases have fallen, all sessions together."""
    stored = json.loads(results.read_text()) if results.is_file() else {"seed": SEED, "campaigns": {}}
    total = stored["campaigns"].get(name)
    if total is None or anew:
        total = {"what": CAMPAIGNS[name].what, "cases": 0, "seconds": 0.0, "kinds": {}, "fell": [], "sessions": []}
        stored["campaigns"][name] = total
    begun, done = time.perf_counter(), first + total["cases"]
    if done < first + count:
        total["sessions"].append({"first_case": done, **timing.environment(torch.device("cpu"))})
    seconds = total["seconds"]
    for i, case in cases(name, done, first + count, folder):
        add(total, i, case)
        total["seconds"] = round(seconds + time.perf_counter() - begun, 1)
        if case["wrong"] or i % 20 == 19 or i == first + count - 1 or CAMPAIGNS[name].long < 600:
            write_text(results, json.dumps(stored, indent=1) + "\n")
    return sum(kind["cases"] - kind["held"] for kind in total["kinds"].values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CAMPAIGNS, []], help="campaigns; default: all")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--cases", type=int, help="of each")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--anew", action="store_true", help="forget what was counted before")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    fallen = 0
    with tempfile.TemporaryDirectory(prefix="saccade-reliability-") as folder:
        for name in arguments.names or CAMPAIGNS:
            campaign = CAMPAIGNS[name]
            count = arguments.cases or (campaign.long if arguments.long else campaign.short)
            fell = conduct(name, count, Path(folder), arguments.results, arguments.anew, arguments.first)
            print(f"{name}: {campaign.what}: {fell} fell", flush=True)
            fallen += fell
    return 1 if fallen else 0


if __name__ == "__main__":
    raise SystemExit(main())
