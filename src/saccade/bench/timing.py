"""Timing for the benchmarks: cases take turns, and every number comes with the machine it was taken on.

A machine's speed drifts (clocks, neighbours), so competitors are never timed one after the other: in every round each
case runs once, in an order that rotates. A ratio is the median over rounds of the two times of the same round.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from saccade.train.running import provenance

Case = Callable[[], object]
Times = dict[str, list[float]]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


def interleave(cases: Mapping[str, Case], rounds: int, warmup: int = 2) -> Times:
    """Seconds of every case in every round. Warm-up rounds, in which kernels compile, are not recorded."""
    times: Times = {name: [] for name in cases}
    names = list(cases)
    gc.collect()
    gc.freeze()  # what is there already need not be searched again in every round
    try:
        for round_ in range(-warmup, rounds):
            start = round_ % len(names)
            for name in names[start:] + names[:start]:
                seconds = _seconds(cases[name])
                if round_ >= 0:
                    times[name].append(seconds)
            gc.collect()
    finally:
        gc.unfreeze()
    return times


def _seconds(case: Case) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    case()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def summary(times: Times, baseline: str) -> dict[str, dict[str, float]]:
    """Median, quartiles and minimum in ms, and how many times as fast as the baseline (median and quartiles)."""
    result = {}
    for name, seconds in times.items():
        ms = _quartiles([1e3 * s for s in seconds])
        speedup = _quartiles([b / s for b, s in zip(times[baseline], seconds, strict=True)])
        result[name] = {
            "ms_q1": ms[0], "ms_median": ms[1], "ms_q3": ms[2], "ms_min": 1e3 * min(seconds),
            "speedup_q1": speedup[0], "speedup_median": speedup[1], "speedup_q3": speedup[2],
        }  # fmt: skip
    return {name: {key: float(f"{value:.4g}") for key, value in row.items()} for name, row in result.items()}


def _quartiles(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive")


def environment(device: torch.device) -> dict[str, Any]:
    """Commit, hardware, versions, threads, allocator settings and load: what a number is worth nothing without."""
    return {
        "commit": provenance.commit(),
        "hardware": provenance.hardware(device),
        "system": platform.platform(),
        "versions": provenance.versions(),
        "threads": torch.get_num_threads(),
        "malloc_environment": {
            k: v for k, v in os.environ.items() if k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))
        },
        "malloc": "kept heap" if heap_is_kept() else "default",
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
    }


_heap = {"kept": False}


def heap_is_kept() -> bool:
    """Whether `keep_heap` has been called in this process."""
    return _heap["kept"]


def keep_heap() -> None:
    """Let glibc keep freed memory instead of returning every large tensor to the system (for the whole process)."""
    libc = ctypes.CDLL(None)
    if not (libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)):
        raise RuntimeError("mallopt refused: keeping the heap needs glibc.")
    _heap["kept"] = True


def saved_bytes(forward: Callable[[], object]) -> int:
    """The memory that `forward` keeps for backward, each storage counted once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = forward()
    del kept
    return sum(storages.values())
