"""Answers before the last step: accuracy against the number of steps, and an early exit on confidence.

After t steps the answer is the running mean of the logits, and the confidence the largest entry of its softmax:

    m_t = 1/t sum over s <= t of logits_s,    answer = argmax m_t,    confidence = max softmax(m_t)

With a threshold, a sample leaves after the first step whose confidence reaches it, at the latest after T.

What that saves depends on the gates. One that looks at all of time (TCJA, DTA and most others) needs all T steps before
the network's first output: then the steps saved are steps of the read-out, and neither computation nor waiting. A
network without such gates can stop, and `saccade.probe.early_exit` makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saccade.engines.streaming import gates_over_time
from saccade.models.network import SpikingNetwork
from saccade.probe.hooks import device_of, probed
from saccade.tables import format_table, html_table

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)


@dataclass(frozen=True)
class Exit:
    """What a threshold gives: accuracy from 0 to 1, and the mean number of steps that were used."""

    threshold: float
    accuracy: float
    mean_steps: float


@dataclass(frozen=True)
class Anytime:
    """Accuracies from 0 to 1, over all samples."""

    accuracy_by_steps: list[float]
    """After 1, 2, ..., T steps."""
    exits: list[Exit]
    samples: int
    highest_confidence: float
    """Of any sample before the last step: a threshold above it lets none leave early."""
    gates_over_time: list[str]
    """Gates that look at other steps than their own; with any of these, nothing is computed less."""

    def summary(self) -> dict[str, Any]:
        """Everything as JSON, with a sentence on what an early exit saves here."""
        return {
            "samples": self.samples,
            "steps": len(self.accuracy_by_steps),
            "accuracy_by_steps": self.accuracy_by_steps,
            "exits": [vars(found) for found in self.exits],
            "highest_confidence": self.highest_confidence,
            "gates_over_time": self.gates_over_time,
            "saves": self.saves(),
        }

    def __str__(self) -> str:
        return "\n\n".join([*(format_table(*table) for table in self._tables()), "\n".join(self._remarks())])

    def _repr_html_(self) -> str:
        first, second = self._tables()
        return html_table(*first) + html_table(*second, note=" ".join(self._remarks()))

    def _tables(self) -> list[tuple[Sequence[Sequence[str]], Sequence[str]]]:
        """Rows and header, by the number of steps and by the confidence that is asked for."""
        by_steps = [(str(t), f"{accuracy:.2%}") for t, accuracy in enumerate(self.accuracy_by_steps, 1)]
        exits = [(f"{e.threshold:g}", f"{e.accuracy:.2%}", f"{e.mean_steps:.2f}") for e in self.exits]
        return [(by_steps, ("steps", "accuracy")), (exits, ("confidence", "accuracy", "mean steps"))]

    def _remarks(self) -> list[str]:
        return [f"The highest confidence before the last step is {self.highest_confidence:.4f}.", self.saves()]

    def saves(self) -> str:
        """What an early exit saves in this network."""
        if not self.gates_over_time:
            return (
                "No gate looks at other steps than its own: a sample that leaves early is not computed any further "
                "(saccade.probe.early_exit)."
            )
        first, more = self.gates_over_time[0], len(self.gates_over_time) - 1
        return (
            f"All {len(self.accuracy_by_steps)} steps are read before the first output, by {first}"
            f"{f' and {more} more' if more else ''}: an early exit saves steps of the read-out and no computation."
        )


@torch.no_grad()
def anytime(
    model: SpikingNetwork, batches: Iterable[tuple[Tensor, Tensor]], thresholds: Sequence[float] = THRESHOLDS
) -> Anytime:
    """Score every step and every threshold on `batches` (pairs x, labels [B]); mode as before afterwards.

    All T steps are computed, since all are scored. The curve over thresholds is of the samples given: an operating
    point that is chosen on the test set is chosen on the test set.

    Args:
        model: logits [T, B, K].
        batches: x as the network takes it.
        thresholds: confidences above 0 and up to 1. Networks whose outputs are rates (those with an output neuron) are
            never sure by this measure: with K = 10 and one class at rate 1, the softmax is 0.23.

    Raises:
        ValueError: no samples, or a threshold that is no probability.
    """
    for threshold in thresholds:
        if not 0 < threshold <= 1:
            raise ValueError(f"A threshold is a confidence above 0 and up to 1, not {threshold}.")
    device = device_of(model)
    confidences, rights = [], []
    with probed(model):
        for x, labels in batches:
            confidence_TB, answer_TB = running_mean(model(x.to(device)).float().cpu()).softmax(2).max(2)
            confidences.append(confidence_TB)
            rights.append(answer_TB == labels.cpu())
    if not confidences:
        raise ValueError("There are no samples to classify.")
    confidence_TN, right_TN = torch.cat(confidences, 1), torch.cat(rights, 1)
    before_last = confidence_TN[:-1]
    return Anytime(
        right_TN.double().mean(1).tolist(),
        [_exit(confidence_TN, right_TN, threshold) for threshold in thresholds],
        right_TN.shape[1],
        float(before_last.max()) if len(before_last) else 0.0,
        gates_over_time(model),
    )


def running_mean(logits: Tensor) -> Tensor:
    """Logits [T, B, K] -> the means of the first 1, 2, ..., T of them, [T, B, K]."""
    steps = torch.arange(1, len(logits) + 1, device=logits.device, dtype=logits.dtype)
    return logits.cumsum(0) / steps[:, None, None]


def _exit(confidence_TN: Tensor, right_TN: Tensor, threshold: float) -> Exit:
    leaves = confidence_TN >= threshold
    leaves[-1] = True
    last = leaves.int().argmax(0)  # the first step of those that reach it
    right = right_TN.gather(0, last[None])
    return Exit(threshold, float(right.double().mean()), float((last + 1).double().mean()))
