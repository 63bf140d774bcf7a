"""Train: from an experiment to a folder with weights and results, and on from where it was stopped."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment

from saccade import ops
from saccade.nn.synchronised import synchronise_norms
from saccade.nn.together import agreed
from saccade.tables import RunResult
from saccade.train.build import Loaders, build_loaders, build_model, check_names, generates
from saccade.train.check import check_experiment
from saccade.train.config import Experiment
from saccade.train.device import Machine, choose_machine, laid_out_for
from saccade.train.learning.classification import ClassificationTask
from saccade.train.learning.divergence import MOST_ROLLBACKS, DivergedError
from saccade.train.learning.generation import GenerationTask
from saccade.train.learning.task import LearningTask
from saccade.train.running.callbacks import History, SaveCheckpoint, StepSeed, TellEpoch
from saccade.train.running.checkpoint import CheckpointError, RunCheckpointIO, check_tie, read_checkpoint
from saccade.train.running.launch import launch
from saccade.train.running.logger import Curves
from saccade.train.running.processes import World, described, find_world, joined, leave
from saccade.train.running.progress import RunProgress
from saccade.train.running.quiet import quiet_lightning
from saccade.train.running.result import finish
from saccade.train.running.run_folder import RunFolder, default_run_dir, open_run

#: what Lightning calls our precisions
LIGHTNING_PRECISION = {"float32": "32-true", "float64": "64-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def train(
    experiment: Experiment,
    run_dir: Path | str | None = None,
    resume: bool = False,
    paper: Mapping[str, Any] | None = None,
    after_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> RunResult:
    """Train a network as an experiment says, score it on the test set and save it.

    The result is that of the last epoch: no epoch is chosen by its score. On a CPU a run that was killed at any moment
    and resumed ends with the same weights, to the bit, as an undisturbed one on the same machine with as many threads
    and processes.

    Several processes: those that a launcher has started (torchrun, srun, ...) call this each and share the work; with
    `devices` above 1 and no launcher they are started here.

    Args:
        experiment: what to do; see `saccade.recipes.get_recipe`.
        run_dir: the folder to make and fill; None: runs/RECIPE/<time>.
        resume: go on with the run in `run_dir`, from its last whole epoch; start if there is none. A finished run is
            left as it is.
        paper: the score that a paper reports for this, kept beside ours; see `saccade.recipes.papers_score`.
        after_epoch: called with every row of metrics.csv, once the epoch's checkpoint is saved; in this process alone.

    Returns:
        What result.json holds; nothing in a process that another one writes for.

    Raises:
        ValueError: the experiment makes no sense, the folder is in use or holds another experiment, the checkpoint is
            damaged, or the loss stopped being finite. `ProcessLostError`: one of several processes died.
        FileNotFoundError: the data set's files are missing.
        KeyboardInterrupt: it was stopped; `resume` goes on.
    """
    check_experiment(experiment)
    order = _Order(experiment, None if run_dir is None else Path(run_dir), resume, paper, after_epoch)
    world = find_world(experiment)
    if world is None and (experiment.devices or 1) * (experiment.nodes or 1) > 1:
        return _launched(order)
    world = world or World()
    if world.processes > 1 and experiment.on_divergence == "rollback":
        raise ValueError("on_divergence='rollback' is for one process; several can 'stop', or 'skip' the step.")
    machine = choose_machine(experiment, world.local_rank)
    with joined(world, machine.device):
        return _train(order, world, machine)


@dataclass(frozen=True)
class _Order:
    """What `train` was asked for."""

    experiment: Experiment
    run_dir: Path | None
    resume: bool
    paper: Mapping[str, Any] | None
    after_epoch: Callable[[dict[str, Any]], None] | None

    def open(self) -> RunFolder:
        """The folder to fill, looked at but not written to."""
        folder = open_run(self.run_dir or default_run_dir(self.experiment.recipe), self.experiment, self.resume)
        _, done, _ = _where_it_stands(folder, self.experiment)
        if done > self.experiment.epochs:
            raise ValueError(
                f"{folder.path} has {done} epochs behind it; epochs={self.experiment.epochs} cannot take them back."
            )
        return folder


def _launched(order: _Order) -> RunResult:
    """The same by processes of its own."""
    if order.after_epoch is not None:
        raise ValueError("after_epoch is called in the process that trains, and devices or nodes start others.")
    folder = order.open()
    check_names(order.experiment)
    if not folder.is_finished(order.experiment):
        launch(order.experiment, folder.path, order.resume, order.paper)
    return RunResult(folder.read_result() or {}, run_dir=str(folder.path))


def _train(order: _Order, world: World, machine: Machine) -> RunResult:
    experiment = order.experiment
    folder = RunFolder(agreed(order.open().path if world.writes else Path()))
    if agreed(folder.is_finished(experiment)):
        return RunResult(folder.read_result() or {}, run_dir=str(folder.path)) if world.writes else RunResult()

    check_names(experiment)
    loaders = build_loaders(experiment, machine.device)
    make_task = partial(_make_task, experiment, loaders, machine)
    task = make_task()  # also where the folder turns out to be in use: what cannot be built is said first
    with folder.held() if world.writes else nullcontext():
        return _fit(order, folder, task, make_task, loaders, world, machine)


def _make_task(experiment: Experiment, loaders: Loaders, machine: Machine) -> LearningTask:
    """A network with its first weights, and how it learns."""
    model = build_model(experiment, loaders.info).to(machine.dtype)
    if experiment.sync_batchnorm:
        synchronise_norms(model)
    kind = GenerationTask if generates(experiment.model) else ClassificationTask
    return kind(laid_out_for(machine, model), experiment, loaders.info, loaders.train, loaders.watched)


def _fit(
    order: _Order,
    folder: RunFolder,
    task: LearningTask,
    make_task: Callable[[], LearningTask],
    loaders: Loaders,
    world: World,
    machine: Machine,
) -> RunResult:
    """Train the task and score it, in a folder that no other process writes to."""
    experiment, nothing = order.experiment, (None, 0, None)
    if world.writes:
        open_run(folder.path, experiment, order.resume)  # another process may have been there since it was looked at
    checkpoint, done, otherwise = agreed(_where_it_stands(folder, experiment) if world.writes else nothing)
    planned = agreed(folder.read_config().epochs if done else None)
    if world.writes:
        folder.create(experiment)
    ops.take_ran()  # what ran before is not this run's
    while True:
        history = History(folder.metrics, loaders.part, type(task), planned, otherwise, world.writes)
        try:
            with quiet_lightning(), _interruptible():
                trainer = _trainer(order, folder, history, machine, world)
                trainer.fit(task, ckpt_path=checkpoint if done else None)
            break
        except DivergedError as error:
            if experiment.on_divergence != "rollback" or task.divergence.rollbacks >= MOST_ROLLBACKS:
                raise
            task = _rolled_back(task, make_task(), str(error))
            checkpoint, done, otherwise = _where_it_stands(folder, experiment)
    leave()
    if not world.writes:
        return RunResult()
    report = task.test(loaders.test, machine, history.rows)
    network, steps = task.scored_model, task.steps_per_epoch
    shared = described(experiment, world.processes, world.nodes)
    for said in (report.score, report.result) if task.divergence.events else ():
        said["diverged"] = task.divergence.as_dict()
    return finish(folder, experiment, loaders.info, network, report, history, machine, steps, order.paper, shared)


def _rolled_back(old: LearningTask, new: LearningTask, error: str) -> LearningTask:
    """A fresh task that goes on from the last whole epoch, or from the start, with a smaller learning rate."""
    what = error.partition(", so training stopped")[0]
    new.divergence = old.divergence.after_rollback(f"{what}: rolled back")
    lr = new.experiment.lr * new.divergence.lr_factor
    print(f"Note: {what}; back to the last whole epoch, with lr {lr:g} instead of {new.experiment.lr:g}.")
    return new


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


def _trainer(order: _Order, folder: RunFolder, history: History, machine: Machine, world: World) -> Trainer:
    e = order.experiment
    callbacks: list[Callback] = [StepSeed(e.seed), history]
    if world.writes:
        callbacks.append(RunProgress(history, e.batch_size, described(e, world.processes, world.nodes)))
    callbacks.append(SaveCheckpoint(folder.checkpoint))
    if world.writes and order.after_epoch is not None:
        callbacks.append(TellEpoch(history, order.after_epoch))
    # Alone it is a plain process, also where a cluster's variables would make Lightning look for others and requeue.
    environment = world.environment or LightningEnvironment()
    return Trainer(
        accelerator="gpu" if machine.device.type == "cuda" else "cpu",
        devices=world.devices,
        num_nodes=world.nodes,
        strategy=world.strategy() if world.processes > 1 else "auto",
        precision=LIGHTNING_PRECISION[machine.precision],  # type: ignore[arg-type]
        benchmark=machine.device.type == "cuda",
        max_epochs=e.epochs,
        accumulate_grad_batches=e.accumulate,
        num_sanity_val_steps=0,
        gradient_clip_val=e.gradient_clip or None,
        callbacks=callbacks,
        logger=Curves(folder.tensorboard),
        plugins=[RunCheckpointIO(e), environment],
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
