"""Learning to classify: the Lightning task."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saccade.data import BatchLoader, DataInfo, cutout, mix_batch
from saccade.models.network import SpikingNetwork
from saccade.nn.together import all_rows, own_rows, summed
from saccade.train.config import Experiment
from saccade.train.device import Machine
from saccade.train.evaluate import Scoreboard, Scores, at_least_float32, evaluate
from saccade.train.learning.task import CHOICE, FinalScores, LearningTask, cut_short
from saccade.train.losses import build_loss

OPTIMISTIC = "maximum over epochs, optimistic"


class ClassificationTask(LearningTask):
    """Trains a network images or sequences -> logits [T, B, K]; arguments as for `LearningTask`."""

    columns = ("train_loss", "train_accuracy", "{part}_loss", "{part}_accuracy", "{part}_top5")

    def __init__(
        self,
        model: SpikingNetwork,
        experiment: Experiment,
        info: DataInfo,
        train_batches: BatchLoader,
        watched: BatchLoader,
    ) -> None:
        super().__init__(model, experiment, info, train_batches, watched)
        self.num_classes = info.num_classes
        self.loss = build_loss(experiment.loss, experiment.label_smoothing, experiment.tet_lambda)
        self.board = Scoreboard(self.num_classes, self.loss)
        self.scores: Scores | None = None

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, target = self._mixed(*batch)
        logits = at_least_float32(self.train_forward(x))
        loss = self.loss(logits, target)
        if self.count_loss(loss, logits.shape[1], index, x):
            self._count_hits(logits.detach(), target)
        return loss

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.board.reset()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        x, labels = batch
        self.board.update(at_least_float32(self.scored_model(x)), labels)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.scores = self.board.compute(self.meter)
        self.check_finite(torch.tensor(self.scores.loss), "loss")

    def measured(self) -> tuple[float | None, ...]:
        assert self.scores is not None
        s = self.scores
        return float(self.train_loss), float(self.train_accuracy), s.loss, s.accuracy, s.top5

    def glance(self) -> str:
        return f"{super().glance()}  accuracy {float(self.train_accuracy):.1%}"

    def describe(self, row: dict[str, Any], part: str) -> str:
        return (
            f"train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.2%}  "
            f"{part} loss {row[f'{part}_loss']:.4f} accuracy {row[f'{part}_accuracy']:.2%}"
        )

    def test(self, batches: BatchLoader, machine: Machine, rows: list[dict[str, Any]]) -> FinalScores:
        model = self.scored_model.to(machine.device)
        scores = evaluate(model, batches, self.num_classes, self.loss, machine)
        score = {"test_accuracy": scores.accuracy, "samples": scores.samples, "of": CHOICE, **cut_short(batches)}
        found = {
            "test_accuracy": scores.accuracy,
            "test_accuracy_is": CHOICE,
            "test_top5": scores.top5,
            "test_loss": scores.loss,
            "test_samples": scores.samples,
            **cut_short(batches),
            "per_class_accuracy": dict(zip(self.info.class_names, scores.per_class, strict=True)),
        }
        if "test_accuracy" in rows[-1]:
            found["max_test_accuracy"] = max(row["test_accuracy"] for row in rows)
            found["max_test_accuracy_is"] = OPTIMISTIC
        else:
            found["validation_accuracy"] = rows[-1]["validation_accuracy"]
        return FinalScores(score, found, scores.firing_rate, scores.firing_rates)

    @property
    def train_accuracy(self) -> Tensor:
        """Mean share of the predicted class in the target, this epoch so far: the accuracy, where nothing is mixed."""
        return self._hits / max(1, self._samples)

    def start_epoch(self) -> None:
        super().start_epoch()
        self._hits: Tensor = torch.zeros((), dtype=torch.float64)

    def pool(self) -> None:
        super().pool()
        self._hits = torch.tensor(summed(self._hits)[0], dtype=torch.float64)

    def _mixed(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        e, batch_dim = self.experiment, x.ndim - 4
        if not e.cutout and e.mix == "none":
            return x, labels
        # Of the whole batch: its draws belong to all processes, and the partner of a sample may be in another one.
        x, target = cutout(all_rows(x, batch_dim), e.cutout, batch_dim), all_rows(labels)
        if e.mix != "none":
            x, target = mix_batch(x, target, self.num_classes, e.mix, e.mix_alpha, e.mix_probability, batch_dim)
        return own_rows(x, batch_dim), own_rows(target)

    def _count_hits(self, logits: Tensor, target: Tensor) -> None:
        predicted = logits.mean(0).argmax(-1)
        soft = target if target.is_floating_point() else torch.nn.functional.one_hot(target, logits.shape[-1])
        self._hits = self._hits.to(logits.device) + soft.gather(1, predicted[:, None]).sum()
