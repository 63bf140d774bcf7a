"""Compiled loops in the threads that torch's own operations run in.

A pool of our own would compete with torch's threads, which keep spinning for a while after every operation. And a torch
operation called inside a loop stays in that loop's thread, since OpenMP does not nest.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch

PARALLEL_FROM = 1 << 19  # elements: below, waking the other threads costs more than they save
_PROCESS = os.getpid()
_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

Body = Callable[[int], object]


def parts_of(work: int, units: int) -> int:
    """Into how many parts a loop over that many elements, in that many indivisible units, should be cut."""
    if work < PARALLEL_FROM or os.getpid() != _PROCESS:  # OpenMP must not be entered again in a forked process
        return 1
    return max(1, min(torch.get_num_threads(), units))


def cut(units: int, part: int, parts: int) -> tuple[int, int]:
    """The first unit of a part, and the one after its last."""
    return units * part // parts, units * (part + 1) // parts


def run_parts(parts: int, body: Body) -> None:
    """Call body(0) ... body(parts - 1) side by side. Raises what a body raised."""
    if parts == 1:
        body(0)
    elif (openmp := _openmp()) is None:
        list(_executor(parts).map(body, range(parts)))
    else:
        _run_openmp(openmp, parts, body)


def _run_openmp(openmp: Any, parts: int, body: Body) -> None:
    errors: list[BaseException] = []

    def share(_: Any) -> None:
        try:
            thread, threads = openmp.omp_get_thread_num(), openmp.omp_get_num_threads()
            for part in range(thread, parts, threads):  # inside another region there are fewer threads than parts
                body(part)
        except BaseException as error:  # must not meet the C frames
            errors.append(error)

    openmp.GOMP_parallel(_BODY(share), None, parts, 0)
    if errors:
        raise errors[0]


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "saccade")


@cache
def _openmp() -> Any:
    """The OpenMP library that torch has loaded, if it offers GNU's entry point, as on Linux; else None."""
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None
    paths = {line.split()[-1] for line in maps if "omp" in line and ".so" in line}
    home = str(Path(torch.__file__).parent)
    for path in sorted(paths, key=lambda path: (not path.startswith(home), path)):
        library = ctypes.CDLL(path)
        if torch.backends.openmp.is_available() and hasattr(library, "GOMP_parallel"):
            return library
    return None
