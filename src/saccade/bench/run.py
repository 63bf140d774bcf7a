"""All benchmarks of a machine, one after the other, as one JSON object."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from saccade.bench import timing
from saccade.bench.cases import NETWORKS, SMALL
from saccade.bench.module import measure_modules
from saccade.bench.network import measure_network
from saccade.bench.operation import measure_lif
from saccade.bench.peer_network import SHAPE, measure_peers
from saccade.bench.roofline import measure_roofline
from saccade.bench.scaling import AXES, BASE, measure_scaling
from saccade.errors import unknown_name

PARTS = ("lif", "modules", "networks", "binary", "peers", "scaling")
ROUNDS, QUICK_ROUNDS = 7, 3


def run_benchmarks(
    parts: Sequence[str] = PARTS,
    rounds: int = ROUNDS,
    quick: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure the machine's roofline, then the parts asked for.

    Args:
        parts: of `PARTS`: the LIF neuron, a neuron with its gate, networks, networks whose gate keeps the spikes
            binary, a network beside the same one in other libraries, and how cost grows.
        rounds: of each comparison; in every round each competitor runs once.
        quick: tiny sizes, to see that everything runs; the figures mean little.
        say: told what comes next.
    """
    for part in parts:
        if part not in PARTS:
            raise unknown_name("benchmark", part, PARTS)
    torch.manual_seed(0)
    started = time.perf_counter()
    say("roofline")
    sizes: dict[str, Any] = {"convs": ((2, 32, 16),), "copied": 1 << 20} if quick else {}
    roofline = measure_roofline(max(rounds, QUICK_ROUNDS), **sizes)
    result: dict[str, Any] = {
        "rounds": rounds,
        "quick": quick,
        **timing.environment(torch.device("cpu")),
        "roofline": roofline,
    }
    measure: dict[str, Callable[[], Any]] = {
        "lif": lambda: _lif(rounds, quick, roofline),
        "modules": lambda: measure_modules(rounds, shrink=4 if quick else 1),
        "networks": lambda: _networks(rounds, quick, roofline, say, "spikes"),
        "binary": lambda: _networks(rounds, quick, roofline, say, "current"),
        "peers": lambda: measure_peers(rounds, memory=not quick, shape=(2, 2, 2, 8) if quick else SHAPE),
        "scaling": lambda: _scaling(quick),
    }
    for part in parts:
        say(part)
        result[part] = measure[part]()
    result["roofline_after"] = measure_roofline(max(rounds, QUICK_ROUNDS), **sizes)
    result["seconds"] = round(time.perf_counter() - started, 1)
    return result


def _lif(rounds: int, quick: bool, roofline: dict[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = {"shape": (3, 2, 8, 8, 8), "peers": ("spikingjelly",)} if quick else {}
    return measure_lif(rounds, copy_GBs=roofline["copy_GBs"], **shape)


def _networks(
    rounds: int, quick: bool, roofline: dict[str, Any], say: Callable[[str], None], placement: str
) -> dict[str, Any]:
    found = {}
    for name, case in (SMALL if quick else NETWORKS).items():
        say(f"  {name}" + ("" if placement == "spikes" else ", gate on the current"))
        case = replace(case, placement=placement)
        ways = ("training", "inference") if placement == "spikes" else ("inference",)
        peak = roofline["float32_GFLOPs"]
        found[name] = measure_network(case, rounds, peak, memory=not quick and placement == "spikes", kinds=ways)
    return found


def _scaling(quick: bool) -> dict[str, Any]:
    if not quick:
        return measure_scaling(QUICK_ROUNDS)
    axes = {axis: values[:2] for axis, values in AXES.items()}
    return measure_scaling(1, replace(BASE, steps=2, batch=1, size=16, width=0.125), axes, with_memory=False)
