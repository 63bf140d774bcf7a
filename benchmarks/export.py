"""Shipped weights in ONNX Runtime: their predictions on the whole test set, and how long one sample takes.

    python benchmarks/export.py [--rounds N] [--threads N]
    python benchmarks/export.py --table [--check]    # write the tables of docs/export.md

Every weights file of `saccade.list_weights()` that classifies, as a float32 and an int8 graph (scaled on 64 training
samples), in ONNX Runtime, beside torch and `saccade.deploy`. Predictions are counted on the whole test part of the data
that the card names. Latency: one sample, forward, interleaved. Writes results/export.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnxruntime
import torch
from torch import Tensor

import saccade
from pages import ROOT, measured_on, rewrite, table
from saccade.atomic import write_text
from saccade.bench import timing
from saccade.export import onnx
from saccade.recipes import get_recipe
from saccade.train.build import build_loaders

RESULT = ROOT / "benchmarks" / "results" / "export.json"
PAGE = "docs/export.md"
CALIBRATION = 64
GRAPHS = {"ONNX Runtime, float32": "float", "ONNX Runtime, int8": "int8"}
WAYS = ("torch", "saccade.deploy", *GRAPHS)


def measure(weights: str, rounds: int) -> dict[str, Any]:
    """Predictions and latencies of one weights file."""
    model: Any = saccade.create_model(weights=weights)
    card = saccade.weights_card(weights)
    loaders = build_loaders(get_recipe(card["recipe"]))
    temporal = 1 if loaders.info.temporal else 0
    calibration = torch.cat([x for x, _ in loaders.train], temporal).narrow(temporal, 0, CALIBRATION)
    H, W = calibration.shape[-2:]
    ways: dict[str, Callable[[Tensor], Tensor]] = {"torch": model, "saccade.deploy": saccade.deploy(model)}
    sizes = {}
    with TemporaryDirectory() as folder, torch.inference_mode():
        for name, precision in GRAPHS.items():
            path = Path(folder) / f"{precision}.onnx"
            with torch.inference_mode(False):
                onnx(model, path, size=(H, W), image=not temporal, precision=precision, calibration=calibration)
            sizes[name] = path.stat().st_size
            ways[name] = graph(path)
        counted = count(ways, loaders.test)
        x = calibration.narrow(temporal, 0, 1).contiguous()
        cases = {name: lambda run=run: run(x) for name, run in ways.items()}
        times = timing.summary(timing.interleave(cases, rounds), "torch")
    rows = {name: {**counted[name], **times[name], "bytes": sizes.get(name)} for name in WAYS}
    return {"data": loaders.info.name, "samples": counted["torch"]["samples"], "ways": rows}


def graph(path: Path) -> Callable[[Tensor], Tensor]:
    """A graph as a function of tensors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(["logits"], {"x": x.numpy()})[0])


def count(ways: dict[str, Callable[[Tensor], Tensor]], batches: Any) -> dict[str, dict[str, int]]:
    """Right predictions, and those that differ from torch's."""
    found = {name: {"samples": 0, "right": 0, "other_than_torch": 0} for name in ways}
    for x, labels in batches:
        answers = {name: run(x).mean(0).argmax(1) for name, run in ways.items()}
        for name, predicted in answers.items():
            found[name]["samples"] += len(labels)
            found[name]["right"] += int((predicted == labels).sum())
            found[name]["other_than_torch"] += int((predicted != answers["torch"]).sum())
    return found


def rows(result: dict[str, Any]) -> Iterable[Sequence[str]]:
    yield "weights", "in", "test accuracy", "other predictions than torch's", "ms a sample (quartiles)", "MB"
    for weights, found in result["weights"].items():
        for way, row in found["ways"].items():
            ms = f"{row['ms_median']:.2f} ({row['ms_q1']:.2f} to {row['ms_q3']:.2f})"
            other = "" if way == "torch" else f"{row['other_than_torch']} of {row['samples']}"
            size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f}"
            yield f"`{weights}`", way, f"{row['right'] / row['samples']:.2%}", other, ms, size


def generated(result: dict[str, Any]) -> str:
    onnx_version = result["onnxruntime"]
    return f"{table(rows(result))}\n\nMeasured on {measured_on(result)}, ONNX Runtime {onnx_version}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        results = json.loads(arguments.result.read_text())
        rewrite(PAGE, "export.py", {"runtimes": generated(results)}, arguments.check)
        return
    torch.set_num_threads(arguments.threads)
    found = {name: measure(name, arguments.rounds) for name in saccade.list_weights()}
    environment = timing.environment(torch.device("cpu"))
    result = {**environment, "onnxruntime": onnxruntime.__version__, "rounds": arguments.rounds, "weights": found}
    write_text(arguments.result, json.dumps(result, indent=1) + "\n")
    for row in rows(result):
        print(*row, sep="  ")


if __name__ == "__main__":
    main()
