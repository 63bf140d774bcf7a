"""Speed and memory of kernels, modules and networks, for docs/speed.md: what `saccade bench` measures.

    python benchmarks/network.py [PART ...] [--rounds N] [--threads N] [--malloc default|kept]

Parts: lif, modules, networks, binary, peers (default: all five). Writes results/speed.json, with one entry per malloc
setting; parts that were not asked for keep what they had.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from saccade.atomic import write_text
from saccade.bench.run import PARTS, ROUNDS, run_benchmarks
from saccade.bench.timing import keep_heap

RESULT = Path(__file__).parent / "results" / "speed.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS[:5], metavar="PART")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--malloc", choices=("default", "kept"), default="default")
    arguments = parser.parse_args()
    if arguments.malloc == "kept":
        keep_heap()
    torch.set_num_threads(arguments.threads)
    measured = run_benchmarks(arguments.parts, arguments.rounds, say=lambda line: print(line, file=sys.stderr))
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    results[arguments.malloc] = {**results.get(arguments.malloc, {}), **measured}
    RESULT.parent.mkdir(exist_ok=True)
    write_text(RESULT, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
