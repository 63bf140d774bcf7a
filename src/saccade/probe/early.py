"""A network that is stopped when it is sure."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from saccade.engines import Stream, stream
from saccade.models.network import Classifier
from saccade.probe.hooks import probed


class EarlyAnswers(NamedTuple):
    """What a batch was answered, and after how many steps."""

    answers: Tensor
    """Classes [B]."""
    steps: Tensor
    """[B], from 1 to T."""


@torch.no_grad()
def early_exit(model: Classifier, x: Tensor, threshold: float) -> EarlyAnswers:
    """Classify a batch, each sample only until the softmax of its running mean reaches `threshold`.

    A sample that has left is not computed any further, and when all have, nothing is.

    Args:
        model: without gates over time.
        x: [B, C, H, W] or [T, B, C, H, W], on the network's device.
        threshold: confidence above 0 and up to 1.

    Raises:
        ValueError: a gate looks at other steps than its own, or the input does not fit the network.
    """
    with probed(model):
        return _early_exit(stream(model), model.as_sequence(x), threshold)


def _early_exit(network: Stream, sequence: Tensor, threshold: float) -> EarlyAnswers:
    T, B = sequence.shape[:2]
    answers, steps = (torch.zeros(B, dtype=torch.int64, device=sequence.device) for _ in range(2))
    left = torch.arange(B, device=sequence.device)
    for t in range(T):
        confidence, answer = network(sequence[t, left]).softmax(1).max(1)
        sure = confidence >= threshold if t + 1 < T else torch.ones_like(left, dtype=torch.bool)
        answers[left[sure]], steps[left[sure]] = answer[sure], t + 1
        left = left[~sure]
        if len(left) == 0:
            break
        network.keep(~sure)
    return EarlyAnswers(answers, steps)
