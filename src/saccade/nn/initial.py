"""IMP: Improving the Initial Membrane Potential. A neuron that does not start from rest.

Shen, Ni, Xu, Tang. Rethinking the Membrane Dynamics and Optimization Objectives of Spiking Neural Networks.
NeurIPS 2024. Released as StephenTaylor1998/IMP-SNN.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saccade.nn.neuron import LIF, Neuron

SPREAD = 0.2


class InitialLIF(Neuron):
    """A LIF neuron with a learned potential before the first step: u_0 = decay * v + gain * x_0, then as `LIF`.

    v has the shape of a step without its batch, [C, H, W], and starts uniform in (-0.2, 0.2): the network is tied to
    one image size. The other constants are the released code's: decay 0.25, otherwise the neuron of TET.

    Args:
        shape: of v.
        **lif: changes of the neuron, see `LIF`; its gain must not be 0.

    Raises:
        ValueError: an input of another shape.
    """

    def __init__(self, shape: tuple[int, ...], **lif: Any) -> None:
        super().__init__()
        self.neuron = LIF(**{"decay": 0.25, **lif})
        self.start = nn.Parameter(torch.empty(shape).uniform_(-SPREAD, SPREAD))

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, ...] -> spikes [T, B, ...]. The start enters as a current of the first step."""
        self._check(x[0])
        first = x[:1] + self.neuron.decay / self.neuron.gain * self.start
        return self.neuron(torch.cat((first, x[1:])))

    def step(self, x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._check(x_t)
        return self.neuron.step(x_t, self.start.expand(x_t.shape) if state is None else state)

    def _check(self, x_t: Tensor) -> None:
        if x_t.shape[1:] != self.start.shape:
            raise ValueError(
                f"InitialLIF was built for {list(self.start.shape)} but a step of the input is {list(x_t.shape[1:])}. "
                "It has a potential for every neuron: build it with shape=(C, H, W) of its input."
            )
