"""Processes that benchmarks/scale.py starts, known by a mark in their environment; a Ray cluster of two raylets."""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MARK = "SACCADE_SCALE"
TOKEN = secrets.token_hex(32)  # of this cluster: Ray takes no node and no driver without it
ONE_CORE = ("--num-cpus", "1")


def environment(threads: int = 1) -> dict[str, str]:
    ray = {"RAY_worker_niceness": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    return {**os.environ, **ray, "OMP_NUM_THREADS": str(threads), MARK: str(os.getpid())}


class Nodes:
    """Two raylets on this machine: the head, and another that can be killed."""

    def __init__(self) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        head = ("--head", "--include-dashboard", "false", "--node-ip-address", "127.0.0.1", "--port", str(port))
        ray("start", *head, *ONE_CORE)
        self.add()

    def add(self) -> None:
        before = set(raylets())
        ray("start", "--address", self.address, *ONE_CORE)
        self.other = next(iter(set(raylets()) - before))

    def restart(self, draw: random.Random) -> None:
        os.kill(self.other, signal.SIGKILL)
        time.sleep(draw.uniform(1, 5))
        self.add()


@contextmanager
def cluster() -> Iterator[Nodes]:
    try:
        yield Nodes()
    finally:
        deadline = time.monotonic() + 60
        while ours() and time.monotonic() < deadline:  # of this cluster alone: others may have theirs on this machine
            for pid in ours():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(1)


def ray(*words: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ray"), *words], env=environment(), capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"ray {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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


def ours() -> list[int]:
    """The processes of Ray that this one has started, directly or not."""
    mark, found = f"{MARK}={os.getpid()}".encode(), []
    for pid in processes():
        with suppress(OSError):
            if alive(pid) and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return [pid for pid in found if any(name in command(pid) for name in (b"ray::", b"/ray/"))]


def raylets() -> list[int]:
    return [pid for pid in ours() if b"/raylet/raylet" in command(pid)]


def trial_workers() -> list[int]:
    """Those that train: no idle ones, no agents of a raylet, and not the one that schedules."""
    others = (b"ray::IDLE", b"ray::DashboardAgent", b"ray::RuntimeEnvAgent", b"ray::_tune")
    return [pid for pid in ours() if command(pid).startswith(b"ray::") and not command(pid).startswith(others)]


def nodes_in_use() -> set[str]:
    """The raylets whose workers train now."""
    found = set()
    for pid in trial_workers():
        with suppress(OSError, IndexError):
            found.add(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError("nothing happened")
        time.sleep(0.05)
    return found
