"""Measure runs on several processes, grids on Ray and the input path, with real processes on this machine.

python benchmarks/scale.py                       # all parts
python benchmarks/scale.py throughput input      # some of: equal kills grid throughput ray input
python benchmarks/scale_table.py                 # then write the tables of docs/scale.md

Every part writes itself into benchmarks/results/scale.json as it goes, with commit, versions, hardware and the
load that the machine had from others when it began. Timings mean something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import csv
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
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from PIL import Image, ImageFilter
from safetensors.torch import load_file

from marked import alive, children_of, cluster, environment, free_port, nodes_in_use, ours, trial_workers, wait_for
from pages import ROOT
from saccade.atomic import write_text
from saccade.data import DataRequest, load_data, make_loader, write_shards
from saccade.train.running import provenance

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
SACCADE = (sys.executable, "-m", "saccade")
TINY = (
    *("--model", "msresnet18", "--width", "0.06", "--steps", "2", "--attention", "tcja", "--batch-size", "16"),
    *("--device", "cpu", "--mix", "mixup", "--ema-decay", "0.9", "--optimizer", "adamw", "--lr", "0.01"),
)
SEED = 2026
EPOCHS = 8  # of a run whose processes are killed


def run(words: list[str], threads: int = 1, check: bool = True) -> float:
    """A command line to its end; its wall-clock seconds."""
    start = time.perf_counter()
    done = subprocess.run([*SACCADE, *words], env=environment(threads), capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"saccade {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - start


def equal(folder: Path) -> Iterator[dict[str, Any]]:
    """20 steps of two processes and of one, in float64 with synchronised batch norm, for every case of the tests."""
    driver = ROOT / "tests" / "e2e" / "rank_driver.py"
    recordings = folder / "data"
    subprocess.run([sys.executable, driver, recordings, "0"], check=True, env=environment())
    common = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    places = [{}, *({**common, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(2))]
    cases = subprocess.run(
        [sys.executable, "-c", "import rank_driver; print(*rank_driver.CASES)"],
        cwd=driver.parent, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    words = [str(free_port()), *cases]
    processes = [
        subprocess.Popen(
            [sys.executable, driver, folder / ("two" if place else "one"), *words],
            env={**environment(), "SACCADE_DATA": str(recordings), **place},
            stdout=subprocess.DEVNULL,
        )
        for place in places
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise RuntimeError("a process failed")
    rows = []
    for case in cases:
        one, two = (read_metrics(folder / way / case) for way in ("one", "two"))
        losses = [abs(float(b["train_loss"]) / float(a["train_loss"]) - 1) for a, b in zip(one, two, strict=True)]
        weights = difference(folder / "one" / case, folder / "two" / case)
        steps = json.loads((folder / "two" / case / "result.json").read_text())["steps_per_epoch"] * len(two)
        rows.append(
            {
                "case": case,
                "steps": steps,
                "largest_difference_of_weights": weights,
                "largest_relative_difference_of_losses": max(losses),
            }
        )
    yield {"cases": rows, "precision": "float64", "batch_norm": "synchronised", "backend": "gloo"}


def kills(folder: Path) -> Iterator[dict[str, Any]]:
    """Kill one of two processes at ten random moments; go on with two, and with one."""
    words = ["train", "digits-dta", *TINY, "--epochs", str(EPOCHS), "--max-batches", "8", "--precision", "float64"]
    words += ["--sync-batchnorm", "--resume"]
    draw = random.Random(SEED)
    seconds = run([*words, "--devices", "2", "--run-dir", str(folder / "whole")])
    rows = []
    for number in range(10):
        devices = 1 + number % 2
        there = folder / str(number)
        parent = subprocess.Popen(
            [*SACCADE, *words, "--devices", "2", "--run-dir", str(there)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        children = wait_for(lambda parent=parent: children_of(parent.pid, 2))
        after = draw.randrange(EPOCHS - 1)
        while len(read_metrics(there)) < after:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, seconds / EPOCHS))
        victim = draw.randrange(2)
        with suppress(ProcessLookupError):
            os.kill(children[victim], signal.SIGKILL)
        killed = time.perf_counter()
        said = parent.communicate(timeout=300)[1].strip().splitlines()
        ended = time.perf_counter() - killed
        epochs = len(read_metrics(there))
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
        yield {"runs": rows, "epochs": EPOCHS, "seconds_undisturbed": round(seconds, 1)}


def grid(folder: Path) -> Iterator[dict[str, Any]]:
    """Twelve runs over two raylets; three killed workers, three killed nodes, three killed drivers."""
    words = ["ablate", "digits-dta", *TINY, "--vary", "attention=none,tcja,dta,tla", "--seeds", "3"]
    words += ["--epochs", "6", "--max-batches", "4"]
    undisturbed(words, folder / "whole")
    expected = table(folder / "whole")
    draw = random.Random(SEED)
    events = draw.sample(["worker", "node", "driver"] * 3, 9)
    out = folder / "killed"
    done: dict[Path, int] = {}
    repeated, at_once, drivers = 0, 0, 1
    with cluster() as nodes:
        words += ["--address", nodes.address]
        driver = start_grid(words, out)
        for event in events:
            until = time.monotonic() + draw.uniform(5, 20)
            while time.monotonic() < until or not trial_workers():  # what is killed is at work
                at_once = max(at_once, len(nodes_in_use()))
                if driver.poll() is not None:
                    break
                time.sleep(0.2)
            if event == "worker":
                with suppress(ProcessLookupError, IndexError):
                    os.kill(draw.choice(trial_workers()), signal.SIGKILL)
            elif event == "node":
                nodes.restart(draw)
            else:
                driver.kill()
                driver.wait()
            time.sleep(2)
            repeated += sum(path.stat().st_mtime_ns != then for path, then in done.items())
            done |= {path: path.stat().st_mtime_ns for path in (out / "records").glob("*.json")}
            print(event, len(done), "done", flush=True)
            if driver.poll() is not None:
                driver, drivers = start_grid(words, out), drivers + 1
        while driver.poll() is None:
            at_once = max(at_once, len(nodes_in_use()))
            time.sleep(0.2)
        repeated += sum(path.stat().st_mtime_ns != then for path, then in done.items())
        time.sleep(10)
        left = len(trial_workers())
    yield {
        "events": events,
        "drivers": drivers,
        "exit_code": driver.returncode,
        "same_table": table(out) == expected,
        "runs": len(list((out / "records").glob("*.json"))),
        "records_written_twice": repeated,
        "last_epochs_trained_twice": sum(log.read_text().count("epoch 6/6") > 1 for log in out.glob("runs/*.log")),
        "raylets_that_trained_at_once": at_once,
        "workers_left_with_the_cluster": left,
        "processes_left": len(ours()),
    }


def undisturbed(words: list[str], out: Path) -> None:
    """The same runs one after the other in one process, without Ray, and their table."""
    code = "import sys; from saccade.cli import main\nfor n in range(12): main([*sys.argv[1:], '--cell', str(n)])"
    subprocess.run(
        [sys.executable, "-c", code, *words, "--out", str(out)],
        env=environment(), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    run([*words, "--out", str(out)])


def start_grid(words: list[str], out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*SACCADE, *words, "--out", str(out)], env=environment(), stdout=subprocess.DEVNULL)


def throughput(folder: Path) -> Iterator[dict[str, Any]]:
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
    yield {"seconds_per_step": steps, "batch_size": 32, "parameters": parameters, "all_reduce": all_reduce(parameters)}


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


def ray_overhead(folder: Path) -> Iterator[dict[str, Any]]:
    """What Ray adds to a run: the slope over grids of 1 and 5 runs, one at a time, less a run without Ray."""
    words = ["ablate", "digits-dta", *TINY, "--vary", "attention=none", "--epochs", "1", "--max-batches", "1"]
    alone = [run([*words, "--seeds", "3", "--out", str(folder / "alone"), "--cell", str(n)]) for n in range(3)]
    empty = run(["recipes"])
    sizes = {n: run([*words, "--seeds", str(n), "--jobs", "1", "--out", str(folder / str(n))]) for n in (1, 5)}
    slope = (sizes[5] - sizes[1]) / 4
    yield {
        "seconds_by_runs": {str(n): round(s, 2) for n, s in sizes.items()},
        "seconds_per_run_on_ray": round(slope, 2),
        "seconds_to_start_and_end_ray_once": round(sizes[1] - slope, 2),
        "seconds_of_a_run_in_a_process_of_its_own": round(statistics.median(alone), 2),
        "seconds_of_a_command_that_does_nothing": round(empty, 2),
        "overhead_per_run": round(slope - statistics.median(alone), 2),
    }


def pictures(folder: Path) -> Iterator[dict[str, Any]]:
    """Decoded and augmented images per second of one core's time at 224 x 224, side by side, in turn.

    Seconds are the process's own, so that others on the core take none of them; it has one thread.
    """
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
            start, count = time.process_time(), 0
            for x, _labels in loader:
                count += len(x)
            rates[way].append(count / (time.process_time() - start))
    size = statistics.mean(path.stat().st_size for path, _ in samples)
    yield {
        "images_per_second_and_core": {w: {"median": statistics.median(r), "all": r} for w, r in rates.items()},
        "pictures": f"{len(samples)} synthetic JPEG, 500 x 375, quality 90, {size / 1000:.0f} kB on average, in memory",
    }


def make_pictures(folder: Path, count: int) -> list[tuple[Path, int]]:
    """JPEG files about as large as ImageNet's: blurred noise of several scales."""
    draw, samples = np.random.default_rng(SEED), []
    for i in range(count):
        label = i // 10 % 2
        layers = [
            np.asarray(Image.fromarray(draw.integers(256, size=(h, w, 3), dtype=np.uint8)).resize((500, 375)))
            for h, w in ((4, 6), (24, 32), (95, 125))
        ]
        image = Image.fromarray(np.mean(layers, axis=0).astype(np.uint8)).filter(ImageFilter.DETAIL)
        path = folder / ("val" if i % 10 == 0 else "train") / "ab"[label] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90)
        samples.append((path, label))
    return samples


def read_metrics(there: Path) -> list[dict[str, str]]:
    with suppress(FileNotFoundError), (there / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
    return []


def difference(a: Path, b: Path) -> float:
    one, other = (load_file(folder / "weights.safetensors") for folder in (a, b))
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def table(out: Path) -> Any:
    rows = json.loads((out / "table.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


PARTS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    "equal": equal,
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
        origin = {
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(torch.device("cpu")),
            "cores": os.cpu_count(),
            "load_of_others_when_it_began": round(os.getloadavg()[0], 2),
            "seed": SEED,
        }
        folder = Path(tempfile.mkdtemp(prefix="scale-"))
        try:
            for found in PARTS[name](folder):
                write_part(name, {**found, "origin": {**origin, "load_when_it_ended": round(os.getloadavg()[0], 2)}})
                print(name, json.dumps(found)[-400:], flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def write_part(name: str, found: dict[str, Any]) -> None:
    with FileLock(f"{RESULTS}.lock"):  # parts may be measured side by side
        content = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        write_text(RESULTS, json.dumps({**content, name: found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
