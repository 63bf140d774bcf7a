"""What training ImageNet needs on one GPU, eight, and four machines of eight: a model with every rate's origin.

    step = max(compute * straggling, pictures) + exposed all-reduce

A rate is *measured* (by benchmarks/scale.py on the machine named there), *quoted* (a maker's data sheet) or *assumed*.
Nothing here was run on those machines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: msresnet34 + DTA at 224 x 224, T = 6: multiply-accumulates of one image, forward (48.5 per step), and parameters
MACS, PARAMETERS = 6 * 48.5e9, 22.1e6
TRAIN_IMAGES, EPOCHS, BATCH = 1_281_167, 200, 128
#: forward, and twice as much backward
PASSES = 3


@dataclass(frozen=True)
class Rate:
    """A number with its unit and where it comes from."""

    value: float
    unit: str
    origin: str


PEAK = Rate(989e12, "bfloat16 operations per second, dense", "quoted: NVIDIA H200 SXM data sheet")
UTILISATION = Rate(0.3, "share of the peak", "assumed: not run on this GPU")
NVLINK = Rate(450e9, "bytes per second, one direction, each GPU", "quoted: NVLink 4, 900 GB/s both directions")
NETWORK = Rate(50e9, "bytes per second, each GPU", "assumed: one 400 Gbit/s adapter per GPU, at its line rate")
OVERLAP = Rate(0.7, "share of the all-reduce hidden behind backward", "assumed")
STRAGGLING = Rate(0.02, "standard deviation of a process's step, as a share of it", "assumed")
CORES = Rate(16, "cores for each GPU", "assumed")
RATES = {
    "H200": PEAK,
    "utilisation": UTILISATION,
    "link in a machine": NVLINK,
    "link between machines": NETWORK,
    "overlap": OVERLAP,
    "straggling": STRAGGLING,
    "cores": CORES,
}


def slowest(processes: int, deviation: float) -> float:
    """Expected slowest of so many normal step times of mean 1 (Blom's approximation)."""
    if processes == 1:
        return 1.0
    p, low, high = (processes - 0.375) / (processes + 0.25), 0.0, 8.0
    while high - low > 1e-9:  # the normal's quantile
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < p else (low, middle)
    return 1 + deviation * low


def ring_bytes(processes: int, parameters: float, width: int = 4) -> float:
    """Bytes that every process sends for an all-reduce of float32 gradients."""
    return 2 * (processes - 1) / processes * parameters * width


def step(processes: int, machines: int, images_per_core: float, batch_each: int = BATCH) -> dict[str, float]:
    """Seconds of a step, its parts, and what the input must deliver."""
    compute = batch_each * MACS * 2 * PASSES / (PEAK.value * UTILISATION.value)
    pictures = batch_each / (CORES.value * images_per_core)
    link = NVLINK.value if machines == 1 else NETWORK.value
    sent = ring_bytes(processes, PARAMETERS) if processes > 1 else 0.0
    exposed = (1 - OVERLAP.value) * sent / link
    busy = compute * slowest(processes, STRAGGLING.value)
    seconds = max(busy, pictures) + exposed
    rate = processes * batch_each / seconds
    return {
        "step_s": seconds,
        "compute_s": compute,
        "straggling_s": busy - compute,
        "pictures_s": pictures,
        "all_reduce_bytes": sent,
        "exposed_all_reduce_s": exposed,
        "images_per_s": rate,
        "cores_needed_per_gpu": rate / processes / images_per_core,
        "efficiency": compute / seconds,
        "hours": EPOCHS * TRAIN_IMAGES / rate / 3600,
    }


def imagenet_rows(images_per_core: float) -> Iterable[Sequence[str]]:
    """The scaling curve as a table."""
    names = ("GPUs", "step, ms", "straggling, ms", "all-reduce sent, MB", "not hidden, ms", "images/s", "efficiency")
    yield (*names, "cores per GPU for the pictures", "200 epochs, hours")
    for processes, machines in ((1, 1), (2, 1), (4, 1), (8, 1), (16, 2), (32, 4)):
        s = step(processes, machines, images_per_core)
        yield (
            f"{processes} on {machines}",
            *(f"{1000 * s[name]:.1f}" for name in ("step_s", "straggling_s")),
            f"{s['all_reduce_bytes'] / 1e6:.0f}",
            f"{1000 * s['exposed_all_reduce_s']:.2f}",
            f"{s['images_per_s']:,.0f}",
            f"{s['efficiency']:.1%}",
            f"{s['cores_needed_per_gpu']:.1f}",
            f"{s['hours']:,.0f}",
        )


def rate_rows(images_per_core: float, where: str) -> Iterable[Sequence[str]]:
    """Every rate of the model and its origin."""
    yield ("rate", "value", "unit", "origin")
    for name, rate in RATES.items():
        yield (name, f"{rate.value:.3g}", rate.unit, rate.origin)
    yield ("pictures", f"{images_per_core:.0f}", "per second and core, 224 x 224, from shards", f"measured: {where}")


def two_processes(measured: dict[str, Any]) -> tuple[float, float]:
    """(expected, measured) seconds of a step of two processes here: half the batch, then an all-reduce."""
    steps = measured["seconds_per_step"]
    alone = steps["1 process x 1 thread, half the batch"]["median"]
    return alone + measured["all_reduce"]["seconds"], steps["2 processes x 1 thread"]["median"]
