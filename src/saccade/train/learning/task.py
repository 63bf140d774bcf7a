"""What all Lightning tasks share: optimiser, data, averaged weights, and an eye on divergence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from saccade.data import BatchLoader, DataInfo
from saccade.models.network import SpikingNetwork
from saccade.nn.together import share_buffers, summed
from saccade.train.config import Experiment
from saccade.train.device import Machine
from saccade.train.firing import FiringMeter
from saccade.train.learning.divergence import (
    GPU_STEPS,
    MOST_SKIPPED,
    SETTLED_STEPS,
    DivergedError,
    Divergence,
    astray,
    is_finite,
    restore,
    silence,
    statistics,
)
from saccade.train.learning.schedule import learning_rate_factor

#: what every result says of itself
CHOICE = "the last epoch's; no epoch was chosen by its score"


def epochs_done(trainer: Trainer) -> int:
    """Whole epochs behind the trainer. (`trainer.current_epoch` is one behind while a resumed run starts.)"""
    return trainer.fit_loop.epoch_progress.state_dict()["current"]["processed"]


def cut_short(batches: BatchLoader) -> dict[str, str]:
    """What card and result add to a score that is not of all samples: nothing, or {"cut_short": which they are}."""
    return {} if batches.cut_short is None else {"cut_short": batches.cut_short}


@dataclass(frozen=True)
class FinalScores:
    """The end of a run in numbers."""

    #: the score on the card of the weights
    score: dict[str, Any]
    #: the scores in result.json
    result: dict[str, Any]
    firing_rate: float = 0.0
    firing_rates: dict[str, float] = field(default_factory=dict)


class LearningTask(LightningModule):
    """Trains a network as an experiment says, and scores it after every epoch.

    Subclasses implement `training_step` (which calls `count_loss`), the validation hooks, and what is marked below.

    Args:
        model: the network.
        experiment: how to learn.
        info: the data set.
        train_batches: what is learned from; its length is that of an epoch, times `accumulate`.
        watched: what is scored after every epoch: the validation part, or the test part where there is none.
    """

    #: what `measured` returns, as names of columns; "{part}" is "validation" or "test"
    columns: ClassVar[tuple[str, ...]]
    #: the batch of the step that goes on
    _x: Tensor | None

    def __init__(
        self,
        model: SpikingNetwork,
        experiment: Experiment,
        info: DataInfo,
        train_batches: BatchLoader,
        watched: BatchLoader,
    ) -> None:
        super().__init__()
        self.model = model
        self.average = (
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(experiment.ema_decay), use_buffers=True)
            if experiment.ema_decay
            else None
        )
        if self.average is not None:
            self.average.requires_grad_(False)  # else DDP would wait for its gradients
        self.experiment = experiment
        self.info = info
        self.train_batches = train_batches
        self.watched = watched
        # Compiled, only training runs: what is scored has hooks that count spikes, and compiled code would skip them.
        self.train_forward: Callable[[Tensor], Any] = (
            torch.compile(lambda x: self.model(x), dynamic=False) if experiment.compile else self.model.__call__
        )
        self.meter = FiringMeter(self.scored_model)
        self.steps_per_epoch = len(train_batches) // experiment.accumulate
        self.divergence = Divergence()
        self._was_dead = False
        self.start_epoch()

    def measured(self) -> tuple[float | None, ...]:
        """The numbers of the epoch that ends, one for each of `columns`."""
        raise NotImplementedError(f"{type(self).__name__} must implement measured().")

    def glance(self) -> str:
        """How the epoch goes so far, for the bar."""
        return f"loss {float(self.train_loss):.3f}"

    def describe(self, row: dict[str, Any], part: str) -> str:
        """A row of the table of epochs in words."""
        raise NotImplementedError(f"{type(self).__name__} must implement describe(row, part).")

    def test(self, batches: BatchLoader, machine: Machine, rows: list[dict[str, Any]]) -> FinalScores:
        """Score the trained network on the test part; `rows` is the table of epochs."""
        raise NotImplementedError(f"{type(self).__name__} must implement test(batches, machine, rows).")

    @property
    def scored_model(self) -> SpikingNetwork:
        """The network that is evaluated and saved: the average of the weights if there is one."""
        if self.average is None:
            return self.model
        assert isinstance(self.average.module, SpikingNetwork)
        return self.average.module

    def train_dataloader(self) -> BatchLoader:
        # A loader with workers fetches ahead as soon as it is iterated, which Lightning does before it sets the epoch.
        self.train_batches.set_epoch(epochs_done(self.trainer))
        return self.train_batches

    def val_dataloader(self) -> BatchLoader:
        return self.watched

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.model, self.experiment)
        total = self.steps_per_epoch * self.experiment.epochs
        warmup = round(self.steps_per_epoch * self.experiment.warmup_epochs)
        name = self.experiment.schedule

        def factor(step: int) -> float:
            return self.divergence.lr_factor * learning_rate_factor(step, total, warmup, name)

        schedule = LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        # A checkpoint brings the learning rate of its own schedule: at the end of a shorter one, zero. In a run that is
        # resumed unchanged this is the same number.
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LambdaLR)
        for group, peak, factor in zip(
            schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        ):
            group["lr"] = peak * factor(schedule.last_epoch)

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        if self.experiment.on_divergence == "skip" and index % self.experiment.accumulate == 0:
            self._statistics = {name: buffer.clone() for name, buffer in statistics(self.model).items()}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # float16's scaler finds gradients that are too large itself, and leaves their steps out
        if not self.looks or self.experiment.precision == "float16":
            return
        skips = self.experiment.on_divergence == "skip"
        found = not (self._loss_is_finite and is_finite(self.model))
        if skips and summed(float(found))[0]:
            self._skip(optimizer)
        elif found:
            self._stop(f"The gradients, or what batch norms have seen, are no longer finite at {self._step()}")
        else:
            self._skipped_in_a_row = 0

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        self._x = None  # it would take memory beside the next one
        if self.average is not None and (index + 1) % self.experiment.accumulate == 0:
            self.average.update_parameters(self.model)

    def on_train_epoch_start(self) -> None:
        self.start_epoch()

    def on_validation_epoch_start(self) -> None:
        share_buffers(self)  # what is scored and saved is the same in every process
        self.pool()
        self.check_finite(self.train_loss, "loss")
        # Neurons hide it: what is not a number fires no spike, and the loss of a silent network is finite.
        self.check_finite(torch.stack([p.detach().abs().max() for p in self.model.parameters()]).max(), "weights")
        self.meter.__enter__()

    def on_validation_epoch_end(self) -> None:
        self.meter.__exit__(None, None, None)
        self.meter.pool()
        self._check_alive()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["divergence"] = {**self.divergence.as_dict(), "was_dead": self._was_dead}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        there = checkpoint.get("divergence", {})  # earlier versions kept none
        if not self.divergence.rollbacks:  # else this run has just been rolled back, and knows more
            self.divergence = Divergence.from_dict(there)
        self._was_dead = there.get("was_dead", False)

    @property
    def train_loss(self) -> Tensor:
        """Mean loss of this epoch's batches so far."""
        return self._loss / max(1, self._samples)

    def start_epoch(self) -> None:
        """Forget the losses of the epoch before."""
        self._index, self._skipped_in_a_row = 0, 0
        self._loss_is_finite: bool = True
        self.looks: bool = True
        self._x = None
        self._loss: Tensor = torch.zeros((), dtype=torch.float64)
        self._samples = 0

    def pool(self) -> None:
        """Add up the losses of all processes."""
        loss, samples = summed(self._loss, self._samples)
        self._loss, self._samples = torch.tensor(loss, dtype=torch.float64), int(samples)

    def count_loss(self, loss: Tensor, samples: int, index: int, x: Tensor | None = None) -> bool:
        """Add up a batch's loss; returns whether it is a finite number, or nobody looked.

        Args:
            loss: mean of the batch.
            samples: in the batch.
            index: of the batch in the epoch.
            x: the batch, to find out later which layer made numbers that are not finite.
        """
        value, skips = loss.detach(), self.experiment.on_divergence == "skip"
        self.looks = self.device.type == "cpu" or skips or (index // self.experiment.accumulate) % GPU_STEPS == 0
        self._index, self._x = index, x
        if index % self.experiment.accumulate == 0:
            self._loss_is_finite = True
        finite = not self.looks or bool(torch.isfinite(value))
        self._loss_is_finite &= finite
        if not finite and not skips:
            self.check_finite(value, "loss")
        if finite:
            self._loss = self._loss.to(loss.device) + value * samples
            self._samples += samples
        return finite

    def check_finite(self, value: Tensor, what: str) -> None:
        """Raises `DivergedError` if the value is infinite or not a number."""
        if not torch.isfinite(value):
            became = f"became {float(value)}" if what == "loss" else "are no longer finite"
            self._stop(f"The {what} {became} at {self._step()}")

    def _step(self) -> str:
        """Where the epoch is, and what is not finite there."""
        step = self._index // self.experiment.accumulate + 1
        return f"step {step} of {self.steps_per_epoch} ({astray(self.model, self._x)})"

    def _stop(self, what: str) -> None:
        epoch, e = epochs_done(self.trainer), self.experiment
        kept = f"The checkpoint after epoch {epoch} is kept" if epoch else "There is no checkpoint yet"
        raise DivergedError(
            f"{what} in epoch {epoch + 1} of {e.epochs}, so training stopped. {kept}. Try a smaller lr than {e.lr:g}, "
            "a warm-up, --gradient-clip 1, or --on-divergence skip or rollback."
        )

    def _skip(self, optimizer: Optimizer) -> None:
        """Leave this step out, as if its batch had not been seen."""
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= MOST_SKIPPED:
            self._stop(f"{MOST_SKIPPED} steps one after the other were not finite, up to {self._step()}")
        event = f"epoch {epochs_done(self.trainer) + 1}, {self._step()}: skipped"
        self.divergence = self.divergence.after_skip(event)
        optimizer.zero_grad(set_to_none=True)
        restore(self.model, self._statistics)

    def _check_alive(self) -> None:
        """A network of which no neuron fires, or every one does, in two epochs one after the other, has diverged."""
        said, dead = silence(self.meter.rates())
        settled = (epochs_done(self.trainer) + 1) * self.steps_per_epoch >= SETTLED_STEPS
        if dead and self._was_dead and settled and self.experiment.on_divergence != "skip":
            self._stop(f"The network learns no more: for two epochs {'; '.join(said)},")
        self._was_dead = dead


def build_optimizer(model: torch.nn.Module, experiment: Experiment) -> Optimizer:
    """The optimiser of an experiment; weight decay goes on all parameters, as in the papers."""
    e = experiment
    parameters = list(model.parameters())
    # one kernel for all parameters; its float16 form would have to unscale the gradients before they are clipped
    fused = {"fused": True} if parameters[0].device.type == "cuda" and e.precision != "float16" else {}
    if e.optimizer == "sgd":
        return SGD(parameters, lr=e.lr, momentum=e.momentum, weight_decay=e.weight_decay, **fused)
    return {"adam": Adam, "adamw": AdamW}[e.optimizer](parameters, lr=e.lr, weight_decay=e.weight_decay, **fused)
