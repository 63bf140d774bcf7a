"""Accuracy of trained networks under every precision of `saccade.deploy`, on the whole test set.

    python benchmarks/deploy_accuracy.py RUN_DIR ...

A RUN_DIR is what `saccade train` leaves. Adds one entry per run to results/deploy_accuracy.json: the accuracy of the
network as it is and of each precision, how many predictions differ from the network's own, the largest difference
between logits, and the time of the whole pass.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saccade import deploy
from saccade.atomic import write_text
from saccade.bench.timing import environment
from saccade.engines.inference.assemble import SLICES
from saccade.models.weights import load_weights
from saccade.train.build import build_loaders
from saccade.train.running.run_folder import RunFolder

RESULT = Path(__file__).parent / "results" / "deploy_accuracy.json"


def logits_of(model: nn.Module, batches: Any) -> tuple[Tensor, Tensor, float]:
    """(mean logits [samples, K], labels, seconds) over a whole data set."""
    outputs, labels, seconds = [], [], 0.0
    for x, y in batches:
        start = time.perf_counter()
        with torch.inference_mode():
            outputs.append(model(x).mean(0))
        seconds += time.perf_counter() - start
        labels.append(y)
    return torch.cat(outputs), torch.cat(labels), seconds


def score(run_dir: Path) -> dict[str, Any]:
    model, _ = load_weights(run_dir)
    experiment = RunFolder(run_dir).read_config()
    test = build_loaders(experiment).test
    own, labels, seconds = logits_of(model, test)
    rows = {"network": row(own, own, labels, seconds)}
    for precision in SLICES:
        deployed = deploy(model, precision)
        logits, _, seconds = logits_of(deployed, test)
        rows[precision] = row(logits, own, labels, seconds)
        rows[precision]["layers"] = [list(cells) for cells in deployed.summary()]
    shown = ("recipe", "model", "attention", "width", "steps", "data", "seed", "epochs", "placement")
    return {"experiment": {key: getattr(experiment, key) for key in shown}, "samples": len(labels), "precisions": rows}


def row(logits: Tensor, own: Tensor, labels: Tensor, seconds: float) -> dict[str, Any]:
    predictions = logits.argmax(1)
    return {
        "accuracy": float((predictions == labels).double().mean()),
        "predictions_that_differ": int((predictions != own.argmax(1)).sum()),
        "largest_logit_difference": float(f"{(logits - own).abs().max().item():.4g}"),
        "seconds": round(seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for run_dir in arguments.run_dirs:
        entry = {**score(run_dir), **environment(torch.device("cpu"))}
        e = entry["experiment"]
        name = f"{e['data']} {e['model']} x {e['width']:g} {e['attention']} {e['placement']} seed {e['seed']}"
        results[name] = entry
        accuracies = {key: f"{100 * r['accuracy']:.2f} %" for key, r in entry["precisions"].items()}
        print(f"{name}: {accuracies} of {entry['samples']}", flush=True)
        write_text(arguments.output, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
