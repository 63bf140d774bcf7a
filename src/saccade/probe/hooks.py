"""Looking at a network without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from saccade.errors import unknown_name


@contextmanager
def probed(model: nn.Module) -> Iterator[list[RemovableHandle]]:
    """Evaluation mode for a while. On leaving, every module has the mode it had, and the hooks in the list are gone.

    Yields the list to which hooks' handles are added.
    """
    modes = {module: module.training for module in model.modules()}
    handles: list[RemovableHandle] = []
    model.eval()
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():  # one by one: a frozen batch norm stays frozen
            module.training = training


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """A module by the name that `named_modules` gives it; ValueError with the nearest names if there is none."""
    layers = {key: module for key, module in model.named_modules() if key}
    if name not in layers:
        raise unknown_name("layer", name, layers)
    return layers[name]


def device_of(model: nn.Module) -> torch.device:
    """Where the network's weights are."""
    weight = next(model.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


def batch_size(x: Tensor) -> int:
    """B of images [B, C, H, W] or a sequence [T, B, C, H, W]."""
    if x.ndim not in (4, 5):
        raise ValueError(f"Networks take images [B, C, H, W] or sequences [T, B, C, H, W], but got {list(x.shape)}.")
    return x.shape[-4]
