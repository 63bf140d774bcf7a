"""Peak memory of one step, in a process of its own.

    python -m saccade.bench.memory '{"cases": [{...}], "kind": "training", "way": "plain", "kept": false, "threads": 2}'

prints, case by case, by how many MB the resident memory rose above what it was before the step: activations, gradients
on the way, whatever the allocator keeps. Weights, their gradients, optimizer state and libraries are there before. A
first step, in which kernels compile, is not counted.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from saccade.bench import cases, timing
from saccade.bench.cases import Case
from saccade.ops import empty_cache

CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def peak_memory(case: Case, kind: str, way: str) -> float | None:
    """The figure in MB from a fresh process with this one's malloc and threads; None where the system has no /proc."""
    if not CLEAR_REFS.exists():
        return None
    return peaks([case], kind, way)[0]


def peaks(measured: list[Case], kind: str, way: str) -> list[float]:
    """`peak_memory` of several cases, one after the other in one fresh process."""
    settings = {
        "cases": [vars(case) for case in measured],
        "kind": kind,
        "way": way,
        "kept": timing.heap_is_kept(),
        "threads": torch.get_num_threads(),
    }
    return printed("-m", "saccade.bench.memory", json.dumps(settings))


def printed(*words: str) -> Any:
    """The last line that Python prints in a process of its own, given these words, as JSON."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Measuring memory failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rise(step: Any) -> float:
    """MB that the resident memory rises by during a step, after one that is not counted."""
    step()
    empty_cache()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    CLEAR_REFS.write_text("5")  # forget the peak
    step()
    return (_status("VmHWM") - before) / 1e3


def _status(field: str) -> float:
    """In kB."""
    return float(next(line for line in STATUS.read_text().splitlines() if line.startswith(field)).split()[1])


def main(text: str) -> None:
    settings = json.loads(text)
    torch.set_num_threads(settings["threads"])
    if settings["kept"]:
        timing.keep_heap()
    build = getattr(cases, settings["kind"])
    print(json.dumps([round(rise(build(Case(**case), settings["way"])), 1) for case in settings["cases"]]))


if __name__ == "__main__":
    main(sys.argv[1])
