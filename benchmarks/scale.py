"""Measure runs on several processes, grids on Ray and the input path, with real processes on this machine.

python benchmarks/scale.py                       # all parts
python benchmarks/scale.py throughput input      # some of: kills grid throughput ray input
python benchmarks/scale_table.py                 # then write the tables of docs/scale.md

Every part writes itself into benchmarks/results/scale.json when it is done, with commit, versions, hardware and the
load that the machine had from others when it began. Timings mean something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file

from pages import ROOT
from saccade.atomic import write_text
from saccade.data import DataRequest, load_data, make_loader, write_shards
from saccade.train import provenance

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
SACCADE = (sys.executable, "-m", "saccade")
TINY = (
    *("--model", "msresnet18", "--width", "0.06", "--steps", "2", "--attention", "tcja", "--batch-size", "16"),
    *("--device", "cpu", "--mix", "mixup", "--ema-decay", "0.9", "--optimizer", "adamw", "--lr", "0.01"),
)
SEED = 2026


def run(words: list[str], threads: int = 1, check: bool = True) -> float:
    """A command line to its end; its wall-clock seconds."""
    start = time.perf_counter()
    done = subprocess.run([*SACCADE, *words], env=environment(threads), capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"saccade {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - start


def environment(threads: int = 1) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "RAY_worker_niceness": "0"}


def kills(folder: Path) -> dict[str, Any]:
    """Kill one of two processes at ten random moments; go on with two, and with one."""
    words = ["train", "digits-dta", *TINY, "--epochs", "4", "--max-batches", "8", "--precision", "float64"]
    words += ["--sync-batchnorm", "--resume"]
    draw = random.Random(SEED)
    seconds = run([*words, "--devices", "2", "--run-dir", str(folder / "whole")])
    rows = []
    for number in range(10):
        devices = 2 if number < 5 else 1
        there = folder / str(number)
        parent = subprocess.Popen(
            [*SACCADE, *words, "--devices", "2", "--run-dir", str(there)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        children = wait_for(lambda parent=parent: children_of(parent.pid, 2))
        time.sleep(draw.uniform(0, 0.8 * seconds))
        victim = draw.randrange(2)
        with suppress(ProcessLookupError):
            os.kill(children[victim], signal.SIGKILL)
        killed = time.perf_counter()
        said = parent.communicate(timeout=300)[1].strip().splitlines()
        ended = time.perf_counter() - killed
        epochs = metrics_rows(there)
        run([*words, "--devices", str(devices), "--run-dir", str(there)])
        rows.append(
            {
                "killed_rank": victim,
                "after_epochs": epochs,
                "seconds_until_the_end": round(ended, 2),
                "exit_code": parent.returncode,
                "said": said[-1] if said else "",
                "processes_left": len([pid for pid in children if alive(pid)]),
                "resumed_with": devices,
                "largest_difference_of_weights": difference(folder / "whole", there),
            }
        )
    return {"runs": rows, "epochs": 4, "seconds_undisturbed": round(seconds, 1)}


def grid(folder: Path) -> dict[str, Any]:
    """Twelve runs over two raylets; three killed workers, three killed nodes, three killed drivers."""
    words = ["ablate", "digits-dta", *TINY, "--vary", "attention=none,tcja,dta,tla", "--seeds", "3"]
    words += ["--epochs", "6", "--max-batches", "4", "--address", "auto"]
    draw = random.Random(SEED)
    with cluster(folder):
        used: set[str] = set()
        run([*words, "--out", str(folder / "whole")])
        expected = table(folder / "whole")
    done: dict[Path, int] = {}
    repeated = 0
    events = draw.sample(["worker", "node", "driver"] * 3, 9)
    with cluster(folder) as nodes:
        driver = start_grid(words, folder / "killed")
        for event in events:
            time.sleep(draw.uniform(5, 20))
            used |= nodes_in_use()
            if event == "worker":
                with suppress(RuntimeError):  # nothing is being trained now
                    os.kill(draw.choice(wait_for(trial_workers, 60)), signal.SIGKILL)
            elif event == "node":
                nodes.restart(draw)
            else:
                driver.kill()
                driver.wait()
            if driver.poll() is not None:
                driver = start_grid(words, folder / "killed")
            repeated += sum(path.stat().st_mtime_ns != then for path, then in done.items())
            done |= {path: path.stat().st_mtime_ns for path in (folder / "killed" / "records").glob("*.json")}
        code = driver.wait(timeout=3600)
        used |= nodes_in_use()
    time.sleep(10)
    return {
        "events": events,
        "exit_code": code,
        "same_table": table(folder / "killed") == expected,
        "runs": len(list((folder / "killed" / "records").glob("*.json"))),
        "records_written_twice": repeated,
        "nodes_used": len(used),
        "processes_left": len([pid for pid in processes() if b"ray::" in command(pid) or b"raylet" in command(pid)]),
    }


def start_grid(words: list[str], out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*SACCADE, *words, "--out", str(out)], env=environment(), stdout=subprocess.DEVNULL)


class Nodes:
    """Two raylets on this machine: the head, and another that can be killed."""

    def __init__(self) -> None:
        ray("start", "--head", "--port", "6399", "--num-cpus", "1", "--include-dashboard", "false")
        self.add()

    def add(self) -> None:
        before = set(raylets())
        ray("start", "--address", "127.0.0.1:6399", "--num-cpus", "1")
        self.other = next(iter(set(raylets()) - before))

    def restart(self, draw: random.Random) -> None:
        os.kill(self.other, signal.SIGKILL)
        time.sleep(draw.uniform(1, 5))
        self.add()


@contextmanager
def cluster(folder: Path) -> Iterator[Nodes]:
    try:
        yield Nodes()
    finally:
        ray("stop", "--force")


def ray(*words: str) -> None:
    subprocess.run(
        [str(Path(sys.executable).parent / "ray"), *words], env=environment(), check=True, capture_output=True
    )


def throughput(folder: Path) -> dict[str, Any]:
    """Two processes with one thread each, one with two, and one with one thread and half the batch, in turn."""
    common = ["train", "digits-dta", "--model", "msresnet18", "--width", "0.25", "--steps", "4", "--device", "cpu"]
    common += ["--epochs", "4", "--max-batches", "6"]
    ways = {
        "2 processes x 1 thread": (["--devices", "2", "--batch-size", "32"], 1),
        "2 processes x 1 thread, synchronised": (["--devices", "2", "--batch-size", "32", "--sync-batchnorm"], 1),
        "1 process x 2 threads": (["--batch-size", "32"], 2),
        "1 process x 1 thread, half the batch": (["--batch-size", "16"], 1),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    parameters = 0
    for turn in range(3):
        for number, (way, (words, threads)) in enumerate(ways.items()):
            there = folder / f"{turn}-{number}"
            run([*common, *words, "--run-dir", str(there)], threads)
            result = json.loads((there / "result.json").read_text())
            times[way] += result["seconds_per_step_by_epoch"][1:]
            parameters = result["parameters"]
    steps = {way: {"median": statistics.median(t), "least": min(t), "most": max(t)} for way, t in times.items()}
    return {"seconds_per_step": steps, "batch_size": 32, "parameters": parameters, "all_reduce": all_reduce(parameters)}


ALL_REDUCE = """
import sys, time, torch
from torch import distributed
place = f"tcp://127.0.0.1:{sys.argv[3]}"
distributed.init_process_group("gloo", init_method=place, rank=int(sys.argv[1]), world_size=2)
x = torch.ones(int(sys.argv[2]))
times = []
for _ in range(30):
    start = time.perf_counter()
    distributed.all_reduce(x)
    times.append(time.perf_counter() - start)
if sys.argv[1] == "0":
    print(sorted(times[5:])[12])
"""


def all_reduce(numbers: int) -> dict[str, float]:
    """The median time to add up so many float32 over two processes (gloo, loopback), and the rate."""
    words = [sys.executable, "-c", ALL_REDUCE]
    ranks = [
        subprocess.Popen(
            [*words, str(rank), str(numbers), "29777"], env=environment(), stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    seconds = float(ranks[0].communicate()[0])
    ranks[1].wait()
    return {"bytes": 4 * numbers, "seconds": seconds, "bytes_per_second": 4 * numbers / seconds}


def ray_overhead(folder: Path) -> dict[str, Any]:
    """What Ray adds to a run: the slope over grids of 1 and 5 runs, one at a time, less a run without Ray."""
    words = ["ablate", "digits-dta", *TINY, "--vary", "attention=none", "--epochs", "1", "--max-batches", "1"]
    alone = [run([*words, "--seeds", "3", "--out", str(folder / "alone"), "--cell", str(n)]) for n in range(3)]
    empty = run(["recipes"])
    sizes = {n: run([*words, "--seeds", str(n), "--jobs", "1", "--out", str(folder / str(n))]) for n in (1, 5)}
    slope = (sizes[5] - sizes[1]) / 4
    return {
        "seconds_by_runs": {str(n): round(s, 2) for n, s in sizes.items()},
        "seconds_per_run_on_ray": round(slope, 2),
        "seconds_to_start_and_end_ray_once": round(sizes[1] - slope, 2),
        "seconds_of_a_run_in_a_process_of_its_own": round(statistics.median(alone), 2),
        "seconds_of_a_command_that_does_nothing": round(empty, 2),
        "overhead_per_run": round(slope - statistics.median(alone), 2),
    }


def pictures(folder: Path) -> dict[str, Any]:
    """Decoded and augmented images per second on one core at 224 x 224, side by side, in turn."""
    from torchvision import datasets
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    samples = make_pictures(folder / "folder", 320)
    for part in ("train", "val"):
        write_shards([s for s in samples if s[0].parent.parent.name == part], folder / "shards" / part, 100)
    augment = [
        v2.RandomResizedCrop(224),
        v2.RandomHorizontalFlip(),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
    ]
    plain = v2.Compose([*augment, v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    theirs = torch.utils.data.DataLoader(
        datasets.ImageFolder(str(folder / "folder" / "train"), plain), 32, shuffle=True
    )
    ways: dict[str, Any] = {"torchvision, files": theirs}
    for name, root in (("folder", "folder"), ("shards", "shards")):
        part = load_data(DataRequest(name, root=folder / root, size=224)).train
        ways[f"saccade, {'files' if name == 'folder' else 'shards'}"] = make_loader(
            part, batch_size=32, train=True, temporal=False
        )
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(5):
        for way, loader in ways.items():
            start, count = time.perf_counter(), 0
            for x, _labels in loader:
                count += len(x)
            rates[way].append(count / (time.perf_counter() - start))
    size = statistics.mean(path.stat().st_size for path, _ in samples)
    return {
        "images_per_second_and_core": {w: {"median": statistics.median(r), "all": r} for w, r in rates.items()},
        "pictures": f"{len(samples)} synthetic JPEG, 500 x 375, quality 90, {size / 1000:.0f} kB on average, in memory",
    }


def make_pictures(folder: Path, count: int) -> list[tuple[Path, int]]:
    """JPEG files about as large as ImageNet's: blurred noise of several scales."""
    draw, samples = np.random.default_rng(SEED), []
    for i in range(count):
        layers = [
            np.asarray(Image.fromarray(draw.integers(256, size=(h, w, 3), dtype=np.uint8)).resize((500, 375)))
            for h, w in ((4, 6), (24, 32), (95, 125))
        ]
        image = Image.fromarray(np.mean(layers, axis=0).astype(np.uint8)).filter(ImageFilter.DETAIL)
        path = folder / ("val" if i % 10 == 0 else "train") / "ab"[i % 2] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90)
        samples.append((path, i % 2))
    return samples


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def children_of(pid: int, least: int) -> list[int]:
    with suppress(OSError):
        found = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found if len(found) >= least else []
    return []


def raylets() -> list[int]:
    return [pid for pid in processes() if b"/raylet/raylet" in command(pid) and alive(pid)]


def trial_workers() -> list[int]:
    return [pid for pid in processes() if command(pid).startswith(b"ray::ImplicitFunc") and alive(pid)]


def nodes_in_use() -> set[str]:
    """The raylets whose workers train now."""
    found = set()
    for pid in trial_workers():
        with suppress(OSError, IndexError):
            found.add(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def metrics_rows(there: Path) -> int:
    with suppress(FileNotFoundError):
        return max(0, len((there / "metrics.csv").read_text().splitlines()) - 1)
    return 0


def difference(a: Path, b: Path) -> float:
    one, other = (load_file(folder / "weights.safetensors") for folder in (a, b))
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def table(out: Path) -> Any:
    rows = json.loads((out / "table.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError("nothing happened")
        time.sleep(0.05)
    return found


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "kills": kills,
    "grid": grid,
    "throughput": throughput,
    "ray": ray_overhead,
    "input": pictures,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    for name in parser.parse_args().parts or PARTS:
        load = os.getloadavg()[0]
        folder = Path(tempfile.mkdtemp(prefix="scale-"))
        try:
            found = PARTS[name](folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        origin = {
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(torch.device("cpu")),
            "cores": os.cpu_count(),
            "load_of_others_when_it_began": round(load, 2),
            "seed": SEED,
        }
        content = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        content[name] = {**found, "origin": origin}
        write_text(RESULTS, json.dumps(content, indent=1) + "\n")
        print(name, json.dumps(found)[:400], flush=True)


if __name__ == "__main__":
    main()
