"""Run the experiments behind the README's table: one training run per cell, one after the other.

    python benchmarks/experiments.py mnist cifar10-jpeg ...      # names as in EXPERIMENTS; none: all of them
    python benchmarks/tables.py                                  # then write the tables into the README

Every cell is `saccade train RECIPE OPTIONS --seed N --resume`, so a killed script goes on where it was. What it leaves
is results/EXPERIMENT/CELL.json: the run's result.json with its config. Data is looked for in $SACCADE_DATA.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "experiments"
RESULTS = ROOT / "results"


@dataclass(frozen=True)
class Experiment:
    """One recipe, crossed with attentions and seeds."""

    recipe: str
    attentions: tuple[str, ...]
    seeds: int
    options: tuple[str, ...] = ()


EXPERIMENTS = {
    "digits": Experiment("digits-dta", ("none", "tcja", "dta"), 3),
    "mnist": Experiment("mnist-tcja", ("tcja",), 1),
    "cifar10-jpeg": Experiment("cifar10-jpeg-dta", ("none", "dta"), 1),
    "nmnist": Experiment("nmnist-tcja", ("none", "tcja", "dta"), 5),
}


def run(name: str, experiment: Experiment) -> None:
    for seed in range(experiment.seeds):
        for attention in experiment.attentions:
            cell = f"{attention}-seed{seed}"
            target = RESULTS / name / f"{cell}.json"
            if target.exists():
                continue
            run_dir = RUNS / name / cell
            command = ["saccade", "train", experiment.recipe, "--attention", attention, "--seed", str(seed)]
            subprocess.run([*command, *experiment.options, "--run-dir", run_dir, "--resume"], check=True, cwd=ROOT)
            result = record(run_dir, target)
            print(f"{name}/{cell}: {result['test_accuracy']:.4f}", flush=True)


def record(run_dir: Path, target: Path) -> dict[str, Any]:
    """Keep a run's result and its configuration, without this machine's folders."""
    result = json.loads((run_dir / "result.json").read_text())
    config = json.loads((run_dir / "config.json").read_text())
    result["experiment"] = {key: value for key, value in config.items() if key != "data_root"}
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=2) + "\n")
    partial.replace(target)
    return result


def main(names: list[str]) -> None:
    unknown = set(names) - set(EXPERIMENTS)
    if unknown:
        sys.exit(f"Unknown experiments: {', '.join(sorted(unknown))}. Known: {', '.join(EXPERIMENTS)}.")
    for name in names or EXPERIMENTS:
        run(name, EXPERIMENTS[name])


if __name__ == "__main__":
    main(sys.argv[1:])
