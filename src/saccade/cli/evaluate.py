"""saccade eval: score saved weights on the whole test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saccade.cli.arguments import check_count, parse
from saccade.cli.inside import OpenRun
from saccade.cli.own import open_experiment
from saccade.errors import require
from saccade.tables import accuracy_text, format_table

if TYPE_CHECKING:
    from saccade.data import BatchLoader


@dataclass(kw_only=True)
class EvalArguments:
    """Which weights, on what."""

    run_dir: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of a finished run."""
    code: Path | None = None
    """File of your own that the network, its attention or the data need; default: the run's, if you ran it before."""
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
    anytime: bool = False
    """Also score the answers after 1, 2, ..., T steps, and an early exit on confidence; a figure of both."""
    thresholds: tuple[float, ...] = ()
    """Confidences at which a sample leaves early, with --anytime; default: 0.5 to 0.999."""


def main(words: Sequence[str]) -> int:
    """Score, and print the table."""
    arguments = parse(EvalArguments, words, "saccade eval", text="Score the weights of a run on the whole test set.")
    for library in ("torchmetrics", "safetensors"):
        require(library, "train")
    if arguments.anytime:
        require("matplotlib", "report")
    check_count("steps", arguments.steps)
    check_count("batch_size", arguments.batch_size)
    if arguments.thresholds and not arguments.anytime:
        raise ValueError("--thresholds are those of the early exit: add --anytime.")

    from saccade.models.weights import load_weights
    from saccade.train.build import build_loaders, generates
    from saccade.train.device import choose_machine
    from saccade.train.evaluate import evaluate
    from saccade.train.losses import build_loss

    folder, experiment = open_experiment(arguments.run_dir, arguments.code)
    model, card = load_weights(folder.path, backend=arguments.backend)
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
        max_batches=None,
    )
    machine = choose_machine(experiment)
    loaders = build_loaders(experiment)
    model.resize_steps(experiment.steps)
    loss = build_loss(experiment.loss, experiment.label_smoothing, experiment.tet_lambda)
    scores = evaluate(model.to(machine.device), loaders.test, loaders.info.num_classes, loss, machine)

    rows = [
        ("test accuracy", accuracy_text(scores.accuracy, scores.samples)),
        *([("test top-5 accuracy", f"{scores.top5:.2%}")] if scores.top5 is not None else []),
        ("on its card", accuracy_text(card["score"]["test_accuracy"], card["score"]["samples"], card["score"])),
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
    if arguments.anytime:
        run = OpenRun(
            folder.path, experiment, model, card["sha256"], loaders.info, loaders.test.dataset, machine.device
        )
        print(f"\n{probe_anytime(run, loaders.test, arguments.thresholds)}")
    return 0


def probe_anytime(run: OpenRun, test: BatchLoader, thresholds: Sequence[float] = ()) -> str:
    """Write probe/anytime.json and anytime.png; returns what they say, as text."""
    from saccade.probe.anytime import THRESHOLDS, anytime
    from saccade.report.figures import anytime_figure

    found = anytime(run.model, test, thresholds or THRESHOLDS)
    content = found.summary()
    run.store("anytime", content)
    figure = run.draw("anytime", anytime_figure(content["accuracy_by_steps"], content["exits"]))
    return f"{found}\nAll numbers are in {figure.with_suffix('.json')}, drawn in {figure.name}."
