"""The GPU's kernels: right, how fast against the plain way and SpikingJelly, and how near to what the chip can do.

    python benchmarks/gpu.py [PART ...] [--rounds 20] [--compile] [--device cuda|cpu] [--tiny] [--output FILE]

Parts: check (every kernel against the reference in float64), lif, operations, modules, networks. The ceilings (bfloat16
matrix product, copy of memory) are measured in every call. A part that the output file already holds, from the same
commit on the same hardware, is not measured again: a call that was cut off goes on. Without --compile under ten minutes
on an H100. `--device cpu --tiny` with TRITON_INTERPRET=1 tries the script; its figures mean nothing.

The plain way is a Python loop over time in float32, channels first, its convolutions in TensorFloat-32 as torch's
defaults have it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu_check import check_kernels
from gpu_clock import Clock
from gpu_steps import time_lif, time_modules, time_networks, time_operations
from saccade.atomic import write_text
from saccade.bench.timing import environment
from saccade.ops import active_backends

RESULT = Path(__file__).parent / "results" / "gpu.json"
PARTS = ("check", "lif", "operations", "modules", "networks")


def measure_ceilings(clock: Clock) -> dict[str, float]:
    """Best of the rounds, on random data: bfloat16 matrix product in TFLOP/s; copy in GB/s, read and write counted."""
    n, count = (64, 1 << 16) if clock.tiny else (8192, 1 << 30)
    a, b = (torch.randn(n, n, device=clock.device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(count // 2, device=clock.device, dtype=torch.bfloat16).normal_()
    target = torch.empty_like(source)
    cases: dict[str, Callable[[], object]] = {"product": lambda: a @ b, "copy": lambda: target.copy_(source)}
    best = {}
    for name, case in cases.items():
        for _ in range(clock.warm_ups):
            case()
        best[name] = min(clock.seconds(case) for _ in range(clock.rounds))
    rates = {"bfloat16_TFLOPs": 2 * n**3 / best["product"] / 1e12, "copy_GBs": 2 * source.nbytes / best["copy"] / 1e9}
    return {name: float(f"{rate:.4g}") for name, rate in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="also through torch.compile, which takes minutes")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    state = active_backends()["triton"]
    if state != "active":
        sys.exit(f"The Triton kernels cannot run here: {state}.")
    clock = Clock(torch.device(arguments.device), arguments.rounds, 0 if arguments.tiny else 3, arguments.tiny)
    result = _start(arguments.output, clock)
    ceilings = result["ceilings"] = measure_ceilings(clock)
    print(f"ceilings: {ceilings}")
    measure: dict[str, Callable[[], Any]] = {
        "check": lambda: check_kernels(clock),
        "lif": lambda: time_lif(clock, ceilings["copy_GBs"]),
        "operations": lambda: time_operations(clock, ceilings["copy_GBs"]),
        "modules": lambda: time_modules(clock),
        "networks": lambda: time_networks(clock, ceilings["bfloat16_TFLOPs"], arguments.compile),
    }
    for part in arguments.parts or PARTS:
        if part in result:
            print(f"{part}: in {arguments.output} already")
            continue
        start = time.perf_counter()
        result[part] = measure[part]()
        result["seconds"][part] = round(time.perf_counter() - start, 1)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.output, json.dumps(result, indent=1) + "\n")
        report(part, result[part])


def _start(path: Path, clock: Clock) -> dict[str, Any]:
    """What the file holds, if it is of this commit, hardware and size; else a new record."""
    record = {"rounds": clock.rounds, "tiny": clock.tiny, **environment(clock.device), "seconds": {}}
    if path.exists():
        found = json.loads(path.read_text())
        if all(found.get(key) == record[key] for key in ("commit", "hardware", "tiny")):
            return found
    return record


def report(part: str, entry: Any, indent: str = "") -> None:
    """A part as lines: names, then the numbers of each row."""
    print(f"{indent}{part}", flush=True)
    if not isinstance(entry, dict):
        return
    for name, value in entry.items():
        if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            report(name, value, indent + "  ")
        elif isinstance(value, dict):
            print(f"{indent}  {name}: " + "  ".join(f"{k} {v}" for k, v in value.items()), flush=True)


if __name__ == "__main__":
    main()
