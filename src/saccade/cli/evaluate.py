"""saccade eval: score saved weights on the whole test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from saccade.cli.arguments import parse
from saccade.errors import require
from saccade.report.table import format_table


@dataclass(kw_only=True)
class EvalArguments:
    """Which weights, on what."""

    run_dir: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of a finished run."""
    data_root: str | None = None
    """Folder that holds the data sets; default: the run's."""
    steps: int | None = None
    """Score at another number of time steps T: weights over time are resampled. Default: the run's."""
    batch_size: int | None = None
    """Samples per batch; default: the run's."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    backend: str = "auto"
    """LIF kernel: auto, or one by name; see saccade doctor."""


def main(words: Sequence[str]) -> int:
    """Score, and print the table."""
    arguments = parse(EvalArguments, words, "saccade eval", text="Score the weights of a run on the whole test set.")
    for library in ("torchmetrics", "safetensors"):
        require(library, "train")
    for name in ("steps", "batch_size"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, not {value}.")

    from saccade.models.weights import load_weights
    from saccade.train.build import build_loaders, generates
    from saccade.train.device import choose_machine
    from saccade.train.evaluate import evaluate
    from saccade.train.losses import build_loss
    from saccade.train.run_folder import RunFolder

    folder = RunFolder(arguments.run_dir)
    if not folder.config.is_file():
        raise FileNotFoundError(f"{folder.path} is not the folder of a run: there is no {folder.config.name} in it.")
    model, card = load_weights(folder.path, backend=arguments.backend)
    experiment = folder.read_config()
    if generates(experiment.model):
        raise ValueError(
            f"{experiment.model} does not classify; score it with: saccade generate {folder.path} --metrics"
        )
    experiment = replace(
        experiment,
        device=arguments.device,
        data_root=arguments.data_root or experiment.data_root,
        steps=arguments.steps or experiment.steps,
        batch_size=arguments.batch_size or experiment.batch_size,
    )
    machine = choose_machine(experiment)
    loaders = build_loaders(experiment)
    model.resize_steps(experiment.steps)
    loss = build_loss(experiment.loss, experiment.label_smoothing, experiment.tet_lambda)
    scores = evaluate(model.to(machine.device), loaders.test, loaders.info.num_classes, loss, machine)

    rows = [
        ("test accuracy", f"{scores.accuracy:.2%} of {scores.samples} samples"),
        *([("test top-5 accuracy", f"{scores.top5:.2%}")] if scores.top5 is not None else []),
        ("on its card", f"{card['score']['test_accuracy']:.2%} of {card['score']['samples']} samples"),
        ("test loss", f"{scores.loss:.4f}"),
        ("parameters", f"{sum(p.numel() for p in model.parameters()):,}"),
        ("firing rate", f"{scores.firing_rate:.4f} spikes per neuron and step"),
        ("time steps", str(experiment.steps)),
        ("data", f"{loaders.info.name}. {loaders.info.note}".rstrip(". ")),
    ]
    print(format_table(rows))
    print()
    per_class = zip(loaders.info.class_names, scores.per_class, strict=True)
    print(format_table([(name, f"{accuracy:.2%}") for name, accuracy in per_class], ("class", "accuracy")))
    return 0
