"""No case of a fuzzed or hostile file may take longer than five seconds, or allocate more than a gibibyte."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

#: how many times as many cases as usual: the long mode is SACCADE_FUZZ=20
LONG = int(os.environ.get("SACCADE_FUZZ", 1))
SECONDS = 5.0
MEMORY = 2**30


@contextmanager
def guarded(seconds: float = SECONDS, memory: int = MEMORY):
    """TimeoutError or MemoryError in what takes too much."""

    def late(*_):
        raise TimeoutError(f"more than {seconds} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    alarm = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
