"""The Grad-CAM rows of the DTA paper on trained networks, and the deletion test: do the highlighted pixels matter?

    python benchmarks/cam_deletion.py OUT [--data digits nmnist] [--data-root DIR] [--epochs N]

Trains none, T-XA, T-NA and DTA on each data set with one recipe and seed, then draws and tests them with `saccade cam`.
What is finished is not trained again, and a run that was stopped goes on: call it again with the same words. Leaves
OUT/DATA/cam.png and OUT/cam_deletion.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from saccade.atomic import write_text
from saccade.cli import main as saccade

RECIPES = {"digits": "digits-dta", "nmnist": "nmnist-tcja"}
ATTENTION = ("none", "txa", "tna", "dta")


def main() -> int:
    """Train what is missing, draw, test, write the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--data-root")
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    found = {}
    for data in arguments.data:
        runs = [arguments.out / data / attention for attention in ATTENTION]
        for attention, run in zip(ATTENTION, runs, strict=True):
            code = saccade(training(data, attention, run, arguments))
            if code:
                return code
        where = ["--data-root", arguments.data_root] if arguments.data_root else []
        code = saccade(["cam", *map(str, runs), "--figure", str(arguments.out / data / "cam.png"), *where])
        if code:
            return code
        found[data] = {run.name: scores(run) for run in runs}
        write_text(arguments.out / "cam_deletion.json", json.dumps(found, indent=2) + "\n")
    return 0


def training(data: str, attention: str, run: Path, arguments: argparse.Namespace) -> list[str]:
    """The words of a training run."""
    words = ["train", RECIPES[data], "--attention", attention, "--run-dir", str(run), "--resume"]
    words += ["--data-root", arguments.data_root] if arguments.data_root else []
    return words + (["--epochs", str(arguments.epochs)] if arguments.epochs else [])


def scores(run: Path) -> dict[str, object]:
    """Test accuracy and the deletion test of a run."""
    cam = json.loads((run / "probe" / "cam.json").read_text(encoding="utf-8"))
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    kept = ("test_accuracy", "test_samples", "epochs", "seed", "commit", "hardware", "versions")
    return {**{name: result.get(name) for name in kept}, "deletion": cam["deletion"]}


if __name__ == "__main__":
    raise SystemExit(main())
