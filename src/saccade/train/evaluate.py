"""Scores of a network on a data set: loss, top-1, top-5, per class, firing rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from saccade.nn.together import summed
from saccade.train.device import Machine
from saccade.train.firing import FiringMeter
from saccade.train.losses import LossFunction


@dataclass(frozen=True)
class Scores:
    """Scores over a whole data set; accuracies and rates from 0 to 1."""

    loss: float
    accuracy: float
    top5: float | None
    """None with five classes or fewer."""
    samples: int
    per_class: list[float] = field(default_factory=list)
    firing_rate: float = 0.0
    firing_rates: dict[str, float] = field(default_factory=dict)
    """By LIF layer, in the network's order."""


class Scoreboard(nn.Module):
    """Adds up batches: `update(logits [T, B, K], labels [B])`, then `compute()`."""

    def __init__(self, num_classes: int, loss: LossFunction) -> None:
        super().__init__()
        self.loss = loss
        # validate_args would look at every batch's values, and looking waits for a GPU
        options: dict[str, Any] = {"num_classes": num_classes, "validate_args": False}
        self.top1 = MulticlassAccuracy(**options, average="micro")
        self.top5 = MulticlassAccuracy(**options, top_k=5, average="micro") if num_classes > 5 else None
        self.per_class = MulticlassAccuracy(**options, average="none")
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        for metric in (self.top1, self.top5, self.per_class):
            if metric is not None:
                metric.reset()
        self.total_loss: Tensor | float = 0.0
        self.samples = 0

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count one batch."""
        mean = logits.mean(0)
        for metric in (self.top1, self.top5, self.per_class):
            if metric is not None:
                metric.update(mean, labels)
        self.total_loss = self.total_loss + self.loss(logits, labels).detach() * len(labels)
        self.samples += len(labels)

    def compute(self, meter: FiringMeter) -> Scores:
        """The scores over all batches since `reset`, those of all processes of a run included."""
        loss, samples = summed(self.total_loss, self.samples)
        return Scores(
            loss=loss / samples,
            accuracy=float(self.top1.compute()),
            top5=None if self.top5 is None else float(self.top5.compute()),
            samples=int(samples),
            per_class=self.per_class.compute().tolist(),
            firing_rate=meter.mean_rate(),
            firing_rates=meter.rates(),
        )


def at_least_float32(x: Tensor) -> Tensor:
    """The same numbers; those of half precision as float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    num_classes: int,
    loss: LossFunction,
    machine: Machine,
) -> Scores:
    """Score a network in evaluation mode; its mode is put back afterwards.

    Args:
        model: [T, B, C, H, W] or [B, C, H, W] -> logits [T, B, K]; already on the machine's device.
        batches: pairs (x, labels [B]).
        machine: where, and in which number type.
    """
    device, autocast = machine.device, machine.autocast
    board = Scoreboard(num_classes, loss).to(device)
    training = model.training
    model.eval()
    try:
        with FiringMeter(model) as meter:
            for x, labels in batches:
                with torch.autocast(device.type, autocast, enabled=autocast is not None):
                    logits = model(x.to(device, machine.dtype, non_blocking=True))
                board.update(at_least_float32(logits), labels.to(device, non_blocking=True))
    finally:
        model.train(training)
    return board.compute(meter)
