"""This tree's speed against that of an earlier one, in one process, for docs/speed.md.

    git worktree add /somewhere COMMIT
    python benchmarks/against_release.py /somewhere [--rounds N] [--threads N] [--malloc default|kept] [--only TEXT]

Both trees are imported side by side, each with modules of its own, and every row that the earlier one's `saccade bench`
has is built by each from its own code with the same seed; the two take turns. Writes results/against_release.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from saccade.atomic import write_text
from saccade.bench import timing

HERE = Path(__file__).resolve().parents[1]
RESULT = HERE / "benchmarks" / "results" / "against_release.json"
#: rows beside those of `saccade bench`: (model, attention, T, B, size, channels, frames, width)
SMALL = {
    "msresnet18 x 0.25 + TCJA, T = 4, B = 16": ("msresnet18", "tcja", 4, 16, 32, 3, False, 0.25),
    "msresnet18 x 0.125, T = 1, B = 4": ("msresnet18", "none", 1, 4, 32, 3, False, 0.125),
    "fashion_net x 0.25, T = 4, B = 16": ("fashion_net", "none", 4, 16, 28, 1, False, 0.25),
}


def replace_modules(modules: dict[str, Any]) -> dict[str, Any]:
    """Put these in place as `saccade` and all that is below it; returns what was there."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "saccade"}
    for name in before:
        del sys.modules[name]
    sys.modules.update(modules)
    return before


class Tree:
    """A source tree whose `saccade` can be used next to another's: its modules are in place only while it runs."""

    def __init__(self, root: Path) -> None:
        self.root, self.modules = root, dict[str, Any]()
        command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
        self.commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @contextmanager
    def entered(self) -> Iterator[None]:
        outside = replace_modules(self.modules)
        sys.path.insert(0, str(self.root / "src"))
        try:
            yield
        finally:
            sys.path.remove(str(self.root / "src"))
            self.modules = replace_modules(outside)

    def call(self, build: Callable[[Any], Callable[[], object]]) -> Callable[[], object]:
        """What `build` makes of the tree's `saccade.bench.cases`, called with the tree's modules in place."""
        with self.entered():
            run = build(importlib.import_module("saccade.bench.cases"))
            run()  # what is imported late is imported now

        def call() -> object:
            sys.modules.update(self.modules)
            return run()

        return call


def cases(cases: Any) -> dict[str, Any]:
    """The networks, by name, in a tree's own class."""
    keys = "model", "attention", "steps", "batch", "size", "channels", "frames", "width"
    small = {name: cases.Case(**dict(zip(keys, values, strict=True))) for name, values in SMALL.items()}
    return {**cases.NETWORKS, **small}


def rows(release: Tree, only: str) -> Iterator[tuple[str, Callable[[Any], Callable[[], object]]]]:
    """The name of every row that the release has, and what builds it from a tree's `saccade.bench.cases`."""
    with release.entered():
        had = importlib.import_module("saccade.bench.cases")
    for name in cases(had):
        for kind, ways in (("training", had.TRAINING[1:]), ("inference", had.INFERENCE[1:])):
            for way in ways:
                if only in f"{name}: {kind}, {way}":
                    yield f"{name}: {kind}, {way}", lambda c, n=name, k=kind, w=way: getattr(c, k)(cases(c)[n], w)
    for kind in ("forward", "forward and backward"):
        if only in f"LIF: {kind}":
            yield f"LIF: {kind}", lambda c, k=kind: lif(k)


def lif(kind: str) -> Callable[[], object]:
    """The neuron alone, of the tree that is entered."""
    nn_ = importlib.import_module("saccade.nn")
    torch.manual_seed(0)
    neuron, x = nn_.LIF(), torch.randn(6, 16, 128, 32, 32).requires_grad_(kind != "forward")
    grad = torch.randn_like(x)

    def run() -> object:
        if kind == "forward":
            with torch.no_grad():
                return neuron(x)
        return torch.autograd.grad(neuron(x), x, grad)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--malloc", choices=("default", "kept"), default="default")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    arguments = parser.parse_args()
    if arguments.malloc == "kept":
        timing.keep_heap()
    torch.set_num_threads(arguments.threads)
    before, now = Tree(arguments.release.resolve()), Tree(HERE)
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    entry = results.setdefault(arguments.malloc, {"rows": {}})
    entry.update(release=before.commit, rounds=arguments.rounds, **timing.environment(torch.device("cpu")))
    for name, build in rows(before, arguments.only):
        competitors = {"release": before.call(build), "now": now.call(build)}
        times = timing.interleave(competitors, arguments.rounds)
        entry["rows"][name] = timing.summary(times, "release")
        found = entry["rows"][name]["now"]
        print(f"{name}: {found['speedup_median']:.2f} ({found['speedup_q1']:.2f} to {found['speedup_q3']:.2f})")
        write_text(RESULT, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
