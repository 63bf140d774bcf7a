"""The Grad-CAM rows of the DTA paper on trained networks, and the deletion test: do the highlighted pixels matter?

    python benchmarks/experiments.py digits nmnist      # first: trains the networks
    python benchmarks/cam_deletion.py [--data digits nmnist] [--runs FOLDER]
    python benchmarks/tables.py                         # then write the table

Looks into the runs of none, T-XA, T-NA and DTA, every seed, with `saccade cam`; not again into those it has looked
into. Leaves results/cam/DATA.png, the figure of the first seed, and results/cam/deletion.json, the accuracies of every
run after deleting 20 % of the pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from experiments import RESULTS, RUNS
from saccade.atomic import write_text
from saccade.cli import main as saccade

ATTENTION = ("none", "txa", "tna", "dta")
OUT = RESULTS / "cam"


def main() -> int:
    """Draw and test; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits", "nmnist"])
    parser.add_argument("--runs", type=Path, default=RUNS, help="where experiments.py trained them")
    arguments = parser.parse_args()
    file = OUT / "deletion.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    OUT.mkdir(parents=True, exist_ok=True)
    for data in arguments.data:
        runs, found[data] = arguments.runs / data / "runs", []
        for number, seed in enumerate(finished_seeds(runs)):
            folders = [runs / f"{attention}-seed{seed}" for attention in ATTENTION]
            figure = (runs if number else OUT) / f"{data}.png"
            looked = figure.exists() and all((folder / "probe" / "cam.json").exists() for folder in folders)
            code = 0 if looked else saccade(["cam", *map(str, folders), "--figure", str(figure)])
            if code:
                return code
            found[data] += [scores(folder) for folder in folders]
        write_text(file, json.dumps(found, indent=1) + "\n")
    return 0


def finished_seeds(runs: Path) -> list[int]:
    """Seeds with which all four networks have been trained."""
    seeds = sorted(int(run.parent.name.removeprefix("dta-seed")) for run in runs.glob("dta-seed*/result.json"))
    return [s for s in seeds if all((runs / f"{name}-seed{s}" / "result.json").exists() for name in ATTENTION)]


def scores(run: Path) -> dict[str, Any]:
    """Where a run's numbers come from, and its deletion test."""
    cam = json.loads((run / "probe" / "cam.json").read_text(encoding="utf-8"))
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    kept = ("attention", "seed", "test_accuracy", "test_samples", "commit", "hardware", "versions")
    return {**{name: result[name] for name in kept}, "deletion": cam["deletion"]}


if __name__ == "__main__":
    raise SystemExit(main())
