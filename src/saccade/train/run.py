"""Train: from an experiment to a folder with weights and results, and on from where it was stopped."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment

from saccade import ops
from saccade.train.build import build_loaders, build_model, check_names, generates
from saccade.train.callbacks import History, SaveCheckpoint, StepSeed
from saccade.train.check import check_experiment
from saccade.train.checkpoint import CheckpointError, RunCheckpointIO, check_tie, read_checkpoint
from saccade.train.config import Experiment
from saccade.train.device import Machine, choose_machine, laid_out_for
from saccade.train.generation import GenerationTask
from saccade.train.progress import RunProgress
from saccade.train.quiet import quiet_lightning
from saccade.train.result import finish
from saccade.train.run_folder import RunFolder, default_run_dir, open_run
from saccade.train.task import ClassificationTask

#: what Lightning calls our precisions
LIGHTNING_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def train(
    experiment: Experiment,
    run_dir: Path | str | None = None,
    resume: bool = False,
    paper: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a network as an experiment says, score it on the test set and save it.

    The result is that of the last epoch: no epoch is chosen by its score. On a CPU a run that was killed at any moment
    and resumed ends with the same weights, to the bit, as an undisturbed one on the same machine with as many threads.

    Args:
        experiment: what to do; see `saccade.recipes.get_recipe`.
        run_dir: the folder to make and fill; None: runs/RECIPE/<time>.
        resume: go on with the run in `run_dir`, from its last whole epoch; start if there is none. A finished run is
            left as it is.
        paper: the score that a paper reports for this, kept beside ours; see `saccade.recipes.papers_score`.

    Returns:
        What result.json holds.

    Raises:
        ValueError: the experiment makes no sense, the folder is in use or holds another experiment, the checkpoint is
            damaged, or the loss stopped being finite.
        FileNotFoundError: the data set's files are missing.
        KeyboardInterrupt: it was stopped; `resume` goes on.
    """
    check_experiment(experiment)
    folder = open_run(Path(run_dir) if run_dir is not None else default_run_dir(experiment.recipe), experiment, resume)
    checkpoint, done, otherwise = _where_it_stands(folder, experiment)
    if done > experiment.epochs:
        raise ValueError(
            f"{folder.path} has {done} epochs behind it; epochs={experiment.epochs} cannot take them back."
        )
    if folder.is_finished(experiment):
        return {**(folder.read_result() or {}), "run_dir": str(folder.path)}

    check_names(experiment)
    machine = choose_machine(experiment)
    loaders = build_loaders(experiment)
    part, watched = loaders.watched
    model = laid_out_for(machine, build_model(experiment, loaders.info))
    kind = GenerationTask if generates(experiment.model) else ClassificationTask
    task = kind(model, experiment, loaders.info, loaders.train, watched)
    planned = folder.read_config().epochs if done else None
    folder.create(experiment)
    ops.take_ran()  # what ran before is not this run's
    history = History(folder.metrics, part, kind, planned, otherwise)
    with quiet_lightning(), _interruptible():
        trainer = _trainer(experiment, folder, history, machine)
        trainer.fit(task, ckpt_path=checkpoint if done else None)

    report = task.test(loaders.test, machine, history.rows)
    network, steps = task.scored_model, task.steps_per_epoch
    return finish(folder, experiment, loaders.info, network, report, history, machine, steps, paper)


def _where_it_stands(folder: RunFolder, experiment: Experiment) -> tuple[Path | None, int, str | None]:
    """The checkpoint to go on from, whole epochs behind it, and what is different now; the one before, if the last is
    damaged."""
    for path in (folder.checkpoint, folder.checkpoint_before):
        if not path.is_file():
            continue
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            if path == folder.checkpoint and folder.checkpoint_before.is_file():
                aside = path.replace(path.with_name(f"damaged.{path.name}"))  # else the next one saved would keep it
                print(f"Note: {error} It is now {aside.name}; going on from the one before it.", file=sys.stderr)
                continue
            raise
        otherwise = check_tie(checkpoint, experiment, path)
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        return path, done, otherwise
    return None, 0, None


def _trainer(experiment: Experiment, folder: RunFolder, history: History, machine: Machine) -> Trainer:
    return Trainer(
        accelerator="gpu" if machine.device.type == "cuda" else "cpu",
        devices=1,
        precision=LIGHTNING_PRECISION[machine.precision],  # type: ignore[arg-type]
        benchmark=machine.device.type == "cuda",
        max_epochs=experiment.epochs,
        num_sanity_val_steps=0,
        gradient_clip_val=experiment.gradient_clip or None,
        callbacks=[
            StepSeed(experiment.seed),
            history,
            RunProgress(history, experiment.batch_size),
            SaveCheckpoint(folder.checkpoint),
        ],
        logger=TensorBoardLogger(folder.path, name=folder.tensorboard.name, version="", default_hp_metric=False),
        # a plain process, also where a cluster's variables would make Lightning look for others and requeue by itself
        plugins=[RunCheckpointIO(experiment), LightningEnvironment()],
        default_root_dir=folder.path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave as KeyboardInterrupt: Lightning makes SystemExit of them, and then ignores Ctrl-C."""
    on_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if on_main else None
    try:
        yield
    except SystemExit as stopped:
        raise KeyboardInterrupt("training was stopped") from stopped
    finally:
        if on_main:
            signal.signal(signal.SIGINT, before)
