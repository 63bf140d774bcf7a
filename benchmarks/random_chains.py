"""Random chains on every engine against the reference, as tests/unit/test_random_chains.py checks them, but many.

    python benchmarks/random_chains.py [--examples 20000] [--jobs N] [--first SEED]

Writes results/random_chains.json: how many networks were tried, and the seeds of those that differed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from pages import ROOT
from saccade.atomic import write_text
from saccade.bench import timing

RESULT = ROOT / "benchmarks" / "results" / "random_chains.json"
TESTS = ROOT / "tests" / "unit"


def differing(seeds: Sequence[int]) -> dict[int, str]:
    """The seeds whose network differs on some engine, and how it was said."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(TESTS))
    from test_random_chains import check

    found = {}
    for seed in seeds:
        try:
            check(seed)
        except Exception as error:  # whatever it is, it belongs into the list
            found[seed] = f"{type(error).__name__}: {error}"[:500]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    arguments = parser.parse_args()
    started, last = time.perf_counter(), arguments.first + arguments.examples
    parts = [range(first, min(first + 100, last)) for first in range(arguments.first, last, 100)]
    found: dict[int, str] = {}
    tried = 0
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        for part, wrong in zip(parts, pool.map(differing, parts), strict=True):
            tried, found = tried + len(part), found | wrong
            result = {
                **timing.environment(torch.device("cpu")),
                "first_seed": arguments.first,
                "networks": tried,
                "differing": found,
                "seconds": round(time.perf_counter() - started),
            }
            write_text(RESULT, json.dumps(result, indent=1) + "\n")
    print(f"{tried:,} networks, {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
