"""Little work: the engines that choose themselves, beside the modules one by one.

    python benchmarks/small_work.py [--rounds N] [--threads N]

Networks and widths, down to one step of one image. Ways take turns. The heap is kept: else chance decides which way's
gradients lie at its top, are given back after every step, and cost more than all that is compared. Writes
results/small_work.json, and prints how many times as fast as the modules every case is, slowest first.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from typing import Any

import torch

from pages import ROOT
from saccade.atomic import write_text
from saccade.bench import timing
from saccade.bench.cases import Case, inference, training

RESULT = ROOT / "benchmarks" / "results" / "small_work.json"
#: network, attention, size, channels, whether frames come as a sequence
NETWORKS = (
    ("msresnet18", "none", 32, 3, False),
    ("msresnet18", "dta", 8, 3, False),
    ("dvsgesture_net", "tcja", 32, 2, True),
    ("fashion_net", "none", 28, 1, False),
)
WIDTHS = (0.0625, 0.25, 1.0)
SIZES = ((1, 1), (1, 8), (2, 1), (2, 4), (4, 1), (4, 4))  # T, B


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    timing.keep_heap()
    found: dict[str, Any] = {}
    for (model, attention, size, channels, frames), width, (T, B) in product(NETWORKS, WIDTHS, SIZES):
        case = Case(model, attention, T, B, size, channels, frames, width)
        if (model, T * B) == ("msresnet18", 1) and size < 16:
            continue  # its last norms would have one value per channel, which torch refuses in training
        for kind, run in (("training", training), ("inference", inference)):
            times = timing.interleave({way: run(case, way) for way in ("reference", "saccade")}, arguments.rounds)
            name = f"{model} x {width:g}, {attention}, {size} x {size}, T = {T}, B = {B}: {kind}"
            found[name] = timing.summary(times, "reference")["saccade"]
    result = {**timing.environment(torch.device("cpu")), "rounds": arguments.rounds, "cases": found}
    write_text(RESULT, json.dumps(result, indent=1) + "\n")
    for name, row in sorted(found.items(), key=lambda item: item[1]["speedup_median"]):
        print(f"{row['speedup_median']:.2f} ({row['speedup_q1']:.2f} to {row['speedup_q3']:.2f})  {name}")


if __name__ == "__main__":
    main()
