"""A run's folder as training and probes leave it behind, without training anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

COUNTS = ("connections", "synops", "macs", "acs", "muls", "adds", "functions", "inputs", "active")
KINDS = ("synapse", "attention", "neuron", "other", "total")


def write_run(run: Path, T: int = 3, K: int = 3, attention: str = "tcja", epochs: int = 2) -> Path:
    """A whole run of T steps and K classes."""
    (run / "probe").mkdir(parents=True)
    (run / "tensorboard").mkdir()
    for file, content in run_files(T, K, attention, epochs).items():
        write(run, file, content)
    for probe, arrays in run_arrays(T, K).items():
        np.savez(run / "probe" / f"{probe}.npz", **arrays)
    rows = [f"{i + 1},{2 / (i + 1)},0.5,{1 / (i + 1)},0.5,{'nan' if K < 6 else 1},1.5" for i in range(epochs)]
    header = "epoch,train_loss,train_accuracy,test_loss,test_accuracy,test_top5,seconds"
    (run / "metrics.csv").write_text("\n".join([header, *rows, ""]))
    return run


def write(run: Path, file: str, content: object) -> None:
    """A JSON file of a run; NaN is written as Python writes it."""
    (run / file).write_text(json.dumps(content))


def edit(run: Path, file: str, **changes: object) -> None:
    """Other values for fields of a JSON file."""
    write(run, file, {**json.loads((run / file).read_text()), **changes})


def run_files(T: int, K: int, attention: str, epochs: int) -> dict[str, dict]:
    """The JSON files by name."""
    names = {"data": "digits", "class_names": [str(i) for i in range(K)]}
    gate = {"layer": "fire.attention", "kind": "TCJA", "mean": 0.5, "min": 0.1, "max": 0.9, "deviation": 0.2}
    gate["deviation_by"] = dict.fromkeys(("time", "channel", "sample", "space"), 0.1)
    layer = {"layer": "fire.neuron", "neurons": 8, "rate": 0.25, "rate_per_step": [0.25] * T, "dead": 1, "saturated": 0}
    confusion = np.diag([5] * K).tolist()
    return {
        "config.json": {"recipe": "digits-dta", "model": "msresnet18", "attention": attention, "steps": T, "seed": 0},
        "result.json": {
            "data": "digits",
            "test_accuracy": 0.5,
            "test_samples": 5 * K,
            "paper": {
                "value": 12.5,
                "metric": "test accuracy, %",
                "source": "a paper",
                "chosen": "best epoch",
                "checked": "as quoted, not checked by us",
                "recipe_changed_in": ["epochs"],
            },
            "per_class_accuracy": dict.fromkeys(names["class_names"], 0.5),
            "parameters": 1234,
            "firing_rate": 0.2,
            "seconds": 12.0,
            "epochs": epochs,
            "hardware": "a machine",
            "commit": "0123456789abcdef0123+changes",
            "versions": {"torch": "2.0"},
        },
        "probe/predictions.json": {
            **names,
            "samples": 5 * K,
            "seconds": 1.0,
            "confusion": confusion,
            "accuracy_by_steps": [0.5] * T,
        },
        "probe/gates.json": {
            **names,
            "samples": 4,
            "gates": [] if attention == "none" else [gate],
            "effect": None if attention == "none" else {"logits_changed": 0.1, "predictions_changed": 0.25},
        },
        "probe/cam.json": {**names, "layer": "fire", "explains": "predicted", "indices": [0], "labels": [0]}
        | {"deletion": deletion()},
        "probe/firing.json": {**names, "samples": 4, "layers": [layer]},
        "probe/energy.json": {**names, **energy()},
    }


def deletion() -> dict:
    shares = dict.fromkeys(("top_removes", "random_removes", "other_removes"), 0.2)
    return {"samples": 4, "share": 0.2, "intact": 1.0, "top": 0.5, "random": 0.75, "random_std": 0.1} | {
        "other": 0.6,
        **shares,
    }


def energy() -> dict:
    operations = {**dict.fromkeys(COUNTS, 8), "energy_mj": 1e-6}
    return {
        "samples": 4,
        "table": {"name": "45nm-float32", "source": "a paper"},
        "formula": "energy = MACs",
        "notes": ["a note"],
        "layers": [{"layer": "conv", "kind": "synapse", "reads": "spikes", "input_rate": 0.5, **operations}],
        "sums": dict.fromkeys(KINDS, operations),
        "relu": dict.fromkeys(KINDS, operations),
        **dict.fromkeys(("energy_mj", "zero_skipping_energy_mj", "relu_energy_mj"), 1e-6),
        "not_counted": {},
    }


def run_arrays(T: int, K: int) -> dict[str, dict[str, np.ndarray]]:
    """The arrays by probe."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (T, 1, 8, 8, 3), dtype=np.uint8)
    return {
        "gates": {"matrix_0": random.random((T, 4)), "sample_0": random.random((T, 4))},
        "cam": {"maps": random.random((T, 1, 4, 4)), "frames": frames, "pictures": frames[0]},
        "firing": {"raster fire.neuron": random.random((T, 8)) > 0.5},
    }
