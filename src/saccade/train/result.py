"""The end of a run: weights with their card, and result.json."""

from __future__ import annotations

from statistics import median
from typing import Any

from saccade import ops
from saccade.data import DataInfo
from saccade.models.network import SpikingNetwork
from saccade.models.weights import save_weights
from saccade.train import provenance
from saccade.train.callbacks import History
from saccade.train.config import Experiment
from saccade.train.device import Machine
from saccade.train.evaluate import Scores
from saccade.train.run_folder import RunFolder, write_json

CHOICE = "the last epoch's; no epoch was chosen by its score"
OPTIMISTIC = "maximum over epochs, optimistic"


def finish(
    folder: RunFolder,
    experiment: Experiment,
    info: DataInfo,
    model: SpikingNetwork,
    scores: Scores,
    history: History,
    machine: Machine,
) -> dict[str, Any]:
    """Write weights.safetensors, card.json and, last, result.json, which marks the run as finished."""
    origin = {
        "seed": experiment.seed,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(machine.device),
    }
    card = {
        "recipe": experiment.recipe,
        "steps": experiment.steps,
        "data": {"name": info.name, "note": info.note, "classes": list(info.class_names)},
        "score": {"test_accuracy": scores.accuracy, "samples": scores.samples, "of": CHOICE},
        **origin,
        "license": "Apache-2.0",
    }
    save_weights(folder.weights, model, card)
    result = {
        "recipe": experiment.recipe,
        "model": experiment.model,
        "attention": experiment.attention,
        "data": info.name,
        "data_note": info.note,
        **_test_scores(scores, info, history),
        "parameters": sum(p.numel() for p in model.parameters()),
        "firing_rate": scores.firing_rate,
        "firing_rates": scores.firing_rates,
        "seconds": round(history.seconds, 3),
        # the median over epochs: the first one carries compilation and warm-up
        "seconds_per_step": median(history.step_seconds),
        "batch_size": experiment.batch_size,
        "epochs": experiment.epochs,
        "max_batches": experiment.max_batches,
        "precision": machine.precision,
        "lif_backends": ops.active_backends(),
        **origin,
    }
    write_json(folder.result, result)
    return {**result, "run_dir": str(folder.path)}


def _test_scores(scores: Scores, info: DataInfo, history: History) -> dict[str, Any]:
    found = {
        "test_accuracy": scores.accuracy,
        "test_accuracy_is": CHOICE,
        "test_top5": scores.top5,
        "test_loss": scores.loss,
        "test_samples": scores.samples,
        "per_class_accuracy": dict(zip(info.class_names, scores.per_class, strict=True)),
    }
    best = max(row[f"{history.part}_accuracy"] for row in history.rows)
    if history.part == "test":
        return {**found, "max_test_accuracy": best, "max_test_accuracy_is": OPTIMISTIC}
    return {**found, "validation_accuracy": history.rows[-1]["validation_accuracy"]}
