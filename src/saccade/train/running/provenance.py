"""Where a result comes from: commit, library versions, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

import saccade

LIBRARIES = ("torch", "numpy", "lightning", "torchvision", "torchmetrics", "spikingjelly", "triton", "numba")


def commit() -> str | None:
    """The git commit of the source in use, with "+changes" if files differ from it; None outside a checkout."""
    package = Path(saccade.__file__).resolve().parent
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top) / "src" / "saccade" != package:
        return None  # installed somewhere below another project's checkout
    head = _git(package, "rev-parse", "HEAD")
    changed = _git(package, "status", "--porcelain", "--", ".")
    return f"{head}+changes" if head and changed else head


def versions() -> dict[str, str]:
    """Versions of saccade, Python and the installed libraries that can change a number."""
    found = {"saccade": saccade.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (CUDA {torch.version.cuda})"
    return f"{_processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
