"""The end of a run: weights with their card, and result.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from statistics import median
from typing import Any

from saccade import ops
from saccade.atomic import write_text
from saccade.data import DataInfo
from saccade.files import object_text, sha256_of, write_object
from saccade.models.network import SpikingNetwork
from saccade.models.weights import save_weights
from saccade.tables import RunResult
from saccade.train.config import Experiment
from saccade.train.device import Machine
from saccade.train.learning.task import FinalScores
from saccade.train.running import provenance
from saccade.train.running.callbacks import History
from saccade.train.running.run_folder import RunFolder


def finish(
    folder: RunFolder,
    experiment: Experiment,
    info: DataInfo,
    model: SpikingNetwork,
    report: FinalScores,
    history: History,
    machine: Machine,
    steps_per_epoch: int,
    paper: Mapping[str, Any] | None,
    shared: Mapping[str, Any],
) -> RunResult:
    """Write weights.safetensors, card.json, the hashes of all and, last, result.json: then the run is finished."""
    origin = {
        "seed": experiment.seed,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(machine.device),
    }
    extended = {} if history.extended is None else {"extended": history.extended}
    if history.otherwise:
        extended["resumed"] = "; ".join(history.otherwise)
    card = {
        "recipe": experiment.recipe,
        "steps": experiment.steps,
        "data": {"name": info.name, "note": info.note, "classes": list(info.class_names)},
        "score": {**report.score, **extended},
        "batches": dict(shared),
        **origin,
    }
    if experiment.code is not None:
        card["code"] = {"file": experiment.code, "sha256": experiment.code_sha256}
    save_weights(folder.weights, model, card)
    result = {
        "recipe": experiment.recipe,
        "model": experiment.model,
        "attention": experiment.attention,
        "data": info.name,
        "data_note": info.note,
        **report.result,
        "paper": paper,
        "parameters": sum(p.numel() for p in model.parameters()),
        "firing_rate": report.firing_rate,
        "firing_rates": report.firing_rates,
        "seconds": round(history.seconds, 3),
        # the median over epochs: the first one carries compilation and warm-up
        "seconds_per_step": median(history.step_seconds),
        "seconds_per_step_by_epoch": list(history.step_seconds),
        **shared,
        "steps_per_epoch": steps_per_epoch,
        "epochs": experiment.epochs,
        **extended,
        "max_batches": experiment.max_batches,
        "precision": machine.precision,
        "lif_backends": ops.active_backends(),
        "lif_backends_that_ran": ops.take_ran(),
        **origin,
    }
    text = object_text(result)
    files = {path.name: sha256_of(path) for path in (folder.config, folder.metrics, folder.weights, folder.card)}
    files[folder.result.name] = hashlib.sha256(text.encode()).hexdigest()
    write_object(folder.checksums, {"sha256": files})
    write_text(folder.result, text)  # last: it marks the run as finished
    return RunResult(result, run_dir=str(folder.path))
