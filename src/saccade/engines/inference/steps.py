"""What a deployed network is made of besides sites and layers. `step(x, walk)` is one step of a stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saccade.chain import Link


def floats(x: Tensor) -> Tensor:
    """Spikes that are held as bytes as floats, anything else as it is."""
    return x.float() if x.dtype == torch.uint8 else x


class Steps(nn.Sequential):
    """Modules one after the other."""

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step [1, B, ...] through all of them; `walk` holds the state."""
        module: Any
        for module in self:
            x = module.step(x, walk) if hasattr(module, "step") else module(x)
        return x


class AllSteps(nn.Module):
    """One step that stands for all, [1, B, ...] -> [T, B, ...], for what may treat steps differently."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(self.steps, *x.shape[1:]) if len(x) != self.steps else x

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """In a stream every step stands for itself."""
        return x


class AsItIs(nn.Module):
    """A link that has no inference form. It is given floats, where spikes are held as bytes."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link, self.module = link, link.module

    def forward(self, x: Tensor) -> Tensor:
        return self.link(floats(x))

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step, as in the network."""
        return walk.link(self.link, floats(x))
