"""What a network answers on a data set: confusion, and accuracy against the number of steps read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.models.network import SpikingNetwork
from saccade.probe.hooks import device_of, probed


@dataclass(frozen=True)
class Predictions:
    """Answers on a data set."""

    #: [K, K]: samples of the true class (row) that were given the class (column)
    confusion: Tensor
    #: [T]: correct answers when the logits of the first 1, 2, ..., T steps are averaged
    correct_by_steps: Tensor
    samples: int
    #: wall-clock time of the forward passes
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Numbers as JSON; accuracies from 0 to 1."""
        return {
            "samples": self.samples,
            "accuracy": int(self.confusion.trace()) / self.samples,
            "confusion": self.confusion.tolist(),
            "accuracy_by_steps": (self.correct_by_steps / self.samples).tolist(),
            "seconds": self.seconds,
        }


@torch.no_grad()
def predict(model: SpikingNetwork, batches: Iterable[tuple[Tensor, Tensor]]) -> Predictions:
    """Classify every sample of `batches` (pairs x, labels [B]); mode as before afterwards.

    Reading fewer steps does not make the network see fewer: a gate that looks at all of time has seen them.

    Raises:
        ValueError: no samples.
    """
    device = device_of(model)
    confusion: Tensor | None = None
    correct: Tensor | None = None
    samples, seconds = 0, 0.0
    with probed(model):
        for x, labels in batches:
            start = time.perf_counter()
            logits = model(x.to(device)).cpu()
            seconds += time.perf_counter() - start
            T, B, K = logits.shape
            if confusion is None or correct is None:
                confusion, correct = torch.zeros(K, K, dtype=torch.int64), torch.zeros(T, dtype=torch.int64)
            answers_TB = logits.cumsum(0).argmax(2)
            correct += (answers_TB == labels).sum(1)
            pairs = labels * K + answers_TB[-1]
            confusion += torch.bincount(pairs, minlength=K * K).view(K, K)
            samples += B
    if confusion is None or correct is None:
        raise ValueError("There are no samples to classify.")
    return Predictions(confusion, correct, samples, seconds)
