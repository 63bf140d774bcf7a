"""One training step of the papers' networks, the plain way against ours: time, memory, and what is kept for backward.

    python benchmarks/training.py [NETWORK ...] [--rounds N] [--threads N] [--malloc kept|default]

Both ways take turns in one process, with the same weights, input and malloc. Peak memory is that of one step in a fresh
process each. The machine's convolution rate and memory bandwidth are measured in the same run: GFLOP/s are also given
as a share of the former. Writes results/training.json, one entry per malloc setting ("kept": glibc does not return
freed memory to the system).
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from saccade.atomic import write_text
from saccade.bench.cases import NETWORKS, TRAINING, Case
from saccade.bench.network import measure_network
from saccade.bench.plain import Plain
from saccade.bench.roofline import measure_roofline
from saccade.bench.timing import environment, keep_heap, saved_bytes

RESULT = Path(__file__).parent / "results" / "training.json"


def saved_megabytes(case: Case) -> dict[str, float]:
    """What a forward pass keeps for backward, parameters included, by the way of running it."""
    models = {way: case.build("reference" if way == "plain" else "auto") for way in TRAINING}
    runs = {way: Plain(model) if way == "plain" else model for way, model in models.items()}
    return {way: round(saved_bytes(partial(run, case.input())) / 1e6, 1) for way, run in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--malloc", choices=("kept", "default"), default="kept")
    arguments = parser.parse_args()
    for name in arguments.networks:
        if name not in NETWORKS:
            parser.error(f"{name!r} is not one of {', '.join(NETWORKS)}")
    if arguments.malloc == "kept":
        keep_heap()
    torch.set_num_threads(arguments.threads)
    roofline = measure_roofline(arguments.rounds)
    entry = {"rounds": arguments.rounds, **environment(torch.device("cpu")), "roofline": roofline, "networks": {}}
    for name in arguments.networks:
        result = measure_network(NETWORKS[name], arguments.rounds, roofline["float32_GFLOPs"], kinds=("training",))
        result["saved_for_backward_MB"] = saved_megabytes(NETWORKS[name])
        entry["networks"][name] = result
        report(name, result)
    RESULT.parent.mkdir(exist_ok=True)
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    write_text(RESULT, json.dumps({**results, arguments.malloc: entry}, indent=1) + "\n")


def report(name: str, result: dict[str, Any]) -> None:
    print(name)
    for way, row in result["training"].items():
        print(
            f"  {way:8}{row['ms_median']:9.1f} ms ({row['ms_q1']:.1f} to {row['ms_q3']:.1f})"
            f"{row['speedup_median']:6.2f}x  {row['of_float32_roofline']:.0%} of the convolution roofline,"
            f" peak {row['peak_MB']} MB, saved {result['saved_for_backward_MB'][way]} MB"
        )


if __name__ == "__main__":
    main()
