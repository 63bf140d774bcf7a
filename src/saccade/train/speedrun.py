"""Training against the clock: several runs of one recipe to a target accuracy, each with a seed of its own.

The clock runs while the network trains: loading batches, augmentation and every step of the optimiser count, scoring
does not. Reading the data set, building the network, a warm-up run that fills the caches, and what the first epoch of a
run takes longer than its others (compilation, the choice of algorithms) are stated beside it.

A run's score is that of its last epoch. The time to the target is that of the first epoch that reaches it on the test
part: every run trains its whole schedule, no epoch is chosen, and a target that was passed on the way and lost again
shows in the final accuracy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from saccade.files import write_object
from saccade.train.config import Experiment
from saccade.train.device import choose_machine
from saccade.train.run import train
from saccade.train.running import provenance
from saccade.train.running.run_folder import RunFolder

WARM_UP_BATCHES = 20


def speedrun(
    experiment: Experiment,
    target: float,
    runs: int,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run an experiment `runs` times, with seeds from the experiment's on, and write `folder`/speedrun.json.

    Args:
        experiment: what to train; it is scored on the test part, so it sets nothing aside for validation.
        target: test accuracy to reach, above 0 and below 1.
        runs: how often.
        folder: is made; holds the folder of every run. Finished runs found there are not trained again.
        say: told what happens.

    Returns:
        What the file holds: the runs, and mean and spread of accuracy and time.

    Raises:
        ValueError: a target or a number of runs that make no sense, or a validation part; else as `train`.
    """
    if not 0 < target < 1:
        raise ValueError(f"target is a test accuracy above 0 and below 1, not {target!r}: 0.92 is 92 %.")
    if runs < 1:
        raise ValueError(f"runs must be 1 or more, not {runs}.")
    if experiment.validation:
        raise ValueError(f"A speedrun is scored on the test part: use validation=0, not {experiment.validation:g}.")
    say(f"warm-up: {WARM_UP_BATCHES} batches")
    warm_up_seconds = _warm_up(experiment, folder)
    found: list[dict[str, Any]] = []
    for number in range(runs):
        one = replace(experiment, seed=experiment.seed + number)
        say(f"run {number + 1} of {runs}")
        result = train(one, folder / f"run-{one.seed}", resume=True)
        found.append(clocked(result, target))
        say(in_words(found[-1], target, result["data_note"]))
    summary = {
        "recipe": experiment.recipe,
        "network": f"{experiment.model} x {experiment.width:g} with {experiment.attention}, T = {experiment.steps}",
        "data": result["data"],
        "data_note": result["data_note"],
        "target": target,
        "final_accuracy": spread([run["final_accuracy"] for run in found]),
        "runs_that_reached_it": sum(run["seconds_to_target"] is not None for run in found),
        "seconds_to_target": spread([run["seconds_to_target"] for run in found]),
        "seconds_to_target_without_first_run_costs": spread(
            [run["seconds_to_target_without_first_run_costs"] for run in found]
        ),
        "warm_up_seconds": warm_up_seconds,
        "epochs": experiment.epochs,
        "max_batches": experiment.max_batches,
        "parameters": result["parameters"],
        "precision": result["precision"],
        "compile": experiment.compile,
        "lif_backends_that_ran": result["lif_backends_that_ran"],
        "runs": found,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(choose_machine(experiment).device),
    }
    write_object(folder / "speedrun.json", summary)
    return summary


def _warm_up(experiment: Experiment, folder: Path) -> float | None:
    """Seconds of a short run from nothing: data, network, compilation, caches. None: the folder has one already."""
    batches = min(WARM_UP_BATCHES, experiment.max_batches or WARM_UP_BATCHES)
    short = replace(experiment, epochs=1, warmup_epochs=0, max_batches=batches)
    if RunFolder(folder / "warm-up").read_result() is not None:
        return None
    start = time.perf_counter()
    train(short, folder / "warm-up", resume=True)
    return round(time.perf_counter() - start, 3)


def clocked(result: dict[str, Any], target: float) -> dict[str, Any]:
    """One run's times, in seconds of training, from its result and its table of epochs."""
    rows = RunFolder(Path(result["run_dir"])).read_metrics()
    accuracies = [float(row["test_accuracy"]) for row in rows]
    per_step = result["seconds_per_step_by_epoch"]
    steps = result["steps_per_epoch"]
    epochs = [steps * seconds for seconds in per_step]
    excess = max(0.0, epochs[0] - median(epochs[1:])) if len(epochs) > 1 else None
    reached = next((i + 1 for i, accuracy in enumerate(accuracies) if accuracy >= target), None)
    to_target = None if reached is None else sum(epochs[:reached])
    return {
        "seed": result["seed"],
        "final_accuracy": result["test_accuracy"],
        "test_accuracy_by_epoch": accuracies,
        "seconds_of_training": round(sum(epochs), 3),
        "seconds_with_scoring": result["seconds"],
        "seconds_first_epoch_took_longer": None if excess is None else round(excess, 3),
        "epochs_to_target": reached,
        "seconds_to_target": None if to_target is None else round(to_target, 3),
        "seconds_to_target_without_first_run_costs": None
        if to_target is None or excess is None
        else round(to_target - excess, 3),
        "samples_per_second": round(result["batch_size"] / median(per_step), 1),
    }


def spread(values: list[float | None]) -> dict[str, float | int | None] | None:
    """Mean, sample standard deviation (None of one value), smallest and largest; None if a run has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    deviation = round(stdev(known), 5) if len(known) > 1 else None
    return {"n": len(known), "mean": round(mean(known), 5), "sd": deviation, "min": min(known), "max": max(known)}


def in_words(run: dict[str, Any], target: float, note: str) -> str:
    """One run in a line, with the data's note."""
    reached = (
        f"{target:.2%} after {run['seconds_to_target']:.2f} s of training ({run['epochs_to_target']} epochs)"
        if run["seconds_to_target"] is not None
        else f"{target:.2%} not reached in {run['seconds_of_training']:.2f} s of training"
    )
    return f"seed {run['seed']}: {reached}, {run['final_accuracy']:.2%} at the end" + (f" [{note}]" if note else "")
