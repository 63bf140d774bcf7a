"""A network run one step at a time, and stopped when it is sure.

Everything in a network but neurons and gates treats every step alike. Neurons carry their potential from step to step,
which `Stream` holds. Gates are the obstacle: one that looks at other steps than its own cannot be computed before they
have come, and there is no stream of such a network.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from saccade.models.network import Classifier, SpikingNetwork
from saccade.nn import Neuron


def gates_over_time(model: SpikingNetwork) -> list[str]:
    """The gates that look at other steps than their own, as "DTA at stem_neuron"."""
    return [
        f"{type(attention).__name__} at {name}"
        for name, attention in model.attention_modules().items()
        if attention.looks_at_steps != "own"
    ]


class Stream:
    """A network in evaluation mode that is fed one step after the other, from rest.

        stream = Stream(model)
        for x_t in x:                      # [B, C, H, W]
            logits_t = stream.step(x_t)    # [B, K], the same as model(x)[t]

    It holds the potentials of all neurons, and shares the weights of the network, which it leaves as it is.

    Raises:
        ValueError: a gate looks at other steps than its own.
    """

    def __init__(self, model: Classifier) -> None:
        blocking = gates_over_time(model)
        if blocking:
            raise ValueError(
                f"{', '.join(blocking)} cannot be computed step by step: it looks at all {model.steps} steps before "
                "the first output. Run the whole sequence, or a network whose attention is none, se, eca or cbam."
            )
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self._network = copy.deepcopy(model, shared).eval()
        self._neurons: list[_Streamed] = []
        for name, module in list(self._network.named_modules()):
            if isinstance(module, Neuron):
                self._neurons.append(_Streamed(module))
                self._network.set_submodule(name, self._neurons[-1])

    def step(self, x_t: Tensor) -> Tensor:
        """The next step of the input [B, C, H, W] -> its logits [B, K]."""
        return self._network.run_chain(x_t[None])[0]

    def keep(self, rows: Tensor) -> None:
        """Go on with some samples of the batch alone: a mask [B], or indices."""
        for neuron in self._neurons:
            if neuron.potential is not None:
                neuron.potential = neuron.potential[rows]


class _Streamed(nn.Module):
    """A neuron that goes on from the potential that the step before left: [1, B, ...] -> spikes of the same shape."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.neuron = neuron
        self.potential: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        spikes, self.potential = self.neuron.step(x[0], self.potential)
        return spikes[None]


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
    stream, sequence = Stream(model), model.as_sequence(x)
    T, B = sequence.shape[:2]
    answers, steps = (torch.zeros(B, dtype=torch.int64, device=x.device) for _ in range(2))
    left = torch.arange(B, device=x.device)
    total = x.new_zeros(())
    for t in range(T):
        total = total + stream.step(sequence[t, left])
        confidence, answer = (total / (t + 1)).softmax(1).max(1)
        sure = confidence >= threshold if t + 1 < T else torch.ones_like(left, dtype=torch.bool)
        answers[left[sure]], steps[left[sure]] = answer[sure], t + 1
        left, total = left[~sure], total[~sure]
        if len(left) == 0:
            break
        stream.keep(~sure)
    return EarlyAnswers(answers, steps)
