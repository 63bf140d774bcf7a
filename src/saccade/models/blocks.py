"""The bricks that the networks are laid from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import nn

from saccade.engines import Residual
from saccade.nn.folding import TimeFolded

if TYPE_CHECKING:
    from saccade.models.network import SpikingNetwork


class ConvNorm(TimeFolded):
    """Convolution ('same' padding) and batch norm on [T, B, C, H, W], time folded into the batch."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> None:
        conv = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=bias)
        super().__init__(OrderedDict(conv=conv, norm=nn.BatchNorm2d(channels)))


class NamedResidual(Residual):
    """A `Residual` whose parts have names: x (or its shortcut) + the parts of main, one after the other."""

    def __init__(self, main: Mapping[str, nn.Module], shortcut: nn.Module | None = None) -> None:
        super().__init__(shortcut=shortcut)
        for name, module in main.items():
            self.add_module(name, module)


def halved(name: str, size: tuple[int, int], times: int) -> tuple[int, int]:
    """The size after `times` poolings by 2, or the error that says the input is too small."""
    H, W = size
    if min(H, W) >> times < 1:
        raise ValueError(
            f"{name} halves its input {times} times, so input_size=({H}, {W}) is too small: "
            f"it takes at least {1 << times} x {1 << times} pixels."
        )
    return H >> times, W >> times


def required_size(network: SpikingNetwork) -> tuple[int, int]:
    """The network's input size, or the error for one whose linear layers depend on it."""
    if network.input_size is None:
        raise ValueError(f"{type(network).__name__} needs input_size=(H, W): its linear layers depend on it.")
    H, W = network.input_size
    return H, W
