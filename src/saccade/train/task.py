"""The Lightning task: one classification experiment, step by step."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from saccade.data import BatchLoader, mix_batch
from saccade.models.network import SpikingNetwork
from saccade.train.config import Experiment
from saccade.train.evaluate import Scoreboard, Scores
from saccade.train.firing import FiringMeter
from saccade.train.losses import build_loss
from saccade.train.schedule import learning_rate_factor


def epochs_done(trainer: Trainer) -> int:
    """Whole epochs behind the trainer. (`trainer.current_epoch` is one behind while a resumed run starts.)"""
    return trainer.fit_loop.epoch_progress.state_dict()["current"]["processed"]


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


class ClassificationTask(LightningModule):
    """Trains a network as an experiment says, and scores it after every epoch.

    Args:
        model: images or sequences -> logits [T, B, K].
        experiment: how to learn.
        num_classes: K.
        train_batches: what is learned from; its length is that of an epoch, before `max_batches`.
        watched: what is scored after every epoch: the validation part, or the test part where there is none.
    """

    def __init__(
        self,
        model: SpikingNetwork,
        experiment: Experiment,
        num_classes: int,
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
        self.experiment = experiment
        self.num_classes = num_classes
        self.train_batches = train_batches
        self.watched = watched
        self.loss = build_loss(experiment.loss, experiment.label_smoothing, experiment.tet_lambda)
        self.board = Scoreboard(num_classes, self.loss)
        self.meter = FiringMeter(self.scored_model)
        self.steps_per_epoch = min(len(train_batches), experiment.max_batches or len(train_batches))
        self.scores: Scores | None = None
        self._start_epoch()

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
        schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, total, warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, target = self._mixed(*batch)
        logits = self.model(x).float()
        loss = self.loss(logits, target)
        self._count(loss.detach(), logits.detach(), target)
        # Looking at the loss waits for a GPU, so there it is only done now and then, and at the end of the epoch.
        if self.device.type == "cpu" or index % 50 == 0:
            self.check_finite(loss.detach())
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        if self.average is not None:
            self.average.update_parameters(self.model)

    def on_train_epoch_start(self) -> None:
        self._start_epoch()

    def on_validation_epoch_start(self) -> None:
        self.check_finite(self.train_loss)
        self.board.reset()
        self.meter.__enter__()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        x, labels = batch
        self.board.update(self.scored_model(x).float(), labels)

    def on_validation_epoch_end(self) -> None:
        self.meter.__exit__(None, None, None)
        self.scores = self.board.compute(self.meter)
        self.check_finite(torch.tensor(self.scores.loss))

    def _mixed(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        e = self.experiment
        if e.mix == "none":
            return x, labels
        return mix_batch(x, labels, self.num_classes, e.mix, e.mix_alpha, e.mix_probability, batch_dim=x.ndim - 4)

    @property
    def train_loss(self) -> Tensor:
        """Mean loss of this epoch's batches so far."""
        return self._loss / max(1, self._samples)

    @property
    def train_accuracy(self) -> Tensor:
        """Mean share of the predicted class in the target, this epoch so far: the accuracy, where nothing is mixed."""
        return self._hits / max(1, self._samples)

    def _start_epoch(self) -> None:
        self._loss: Tensor = torch.zeros((), dtype=torch.float64)
        self._hits: Tensor = torch.zeros((), dtype=torch.float64)
        self._samples = 0

    def _count(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        B = logits.shape[1]
        predicted = logits.mean(0).argmax(-1)
        soft = target if target.is_floating_point() else torch.nn.functional.one_hot(target, logits.shape[-1])
        hits = soft.gather(1, predicted[:, None]).sum()
        self._loss = self._loss.to(loss.device) + loss * B
        self._hits = self._hits.to(loss.device) + hits
        self._samples += B

    def check_finite(self, loss: Tensor) -> None:
        """Raises `DivergedError` if the loss is infinite or not a number."""
        if torch.isfinite(loss):
            return
        epoch = epochs_done(self.trainer)
        kept = f"The checkpoint after epoch {epoch} is kept" if epoch else "There is no checkpoint yet"
        raise DivergedError(
            f"The loss became {float(loss)} in epoch {epoch + 1} of {self.experiment.epochs}, so training stopped. "
            f"{kept}. Try a smaller lr than {self.experiment.lr:g}, a warm-up, or --gradient-clip 1."
        )


def build_optimizer(model: torch.nn.Module, experiment: Experiment) -> Optimizer:
    """The optimiser of an experiment; weight decay goes on all parameters, as in the papers."""
    e = experiment
    if e.optimizer == "sgd":
        return SGD(model.parameters(), lr=e.lr, momentum=e.momentum, weight_decay=e.weight_decay)
    return {"adam": Adam, "adamw": AdamW}[e.optimizer](model.parameters(), lr=e.lr, weight_decay=e.weight_decay)
