"""Modules that are run as their chain."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from saccade.chain import Chain, ResidualLink, chain_of, members
from saccade.chain.spikingjelly import converted
from saccade.engines.run import run, run_residual

Links = Iterable[tuple[str, nn.Module]]
"""What `links()` returns: named modules in the order in which data meets them."""


class Chained(nn.Module):
    """A module that says its links, and is run by the engines: [T, B, ...] -> [T, B, ...]."""

    def __init__(self) -> None:
        super().__init__()
        #: whether parts are computed again in backward; see `set_grad_checkpointing`
        self.grad_checkpointing = False
        self._seen: tuple[tuple[nn.Module, ...], Any] | None = None

    def links(self) -> Links:
        """The modules in the order in which data meets them, with their names. All that anyone needs to know."""
        raise NotImplementedError(f"{type(self).__name__} must implement links().")

    @property
    def chain(self) -> Chain:
        """The links as a chain."""
        return self._cached(lambda: chain_of(self.links()))

    def run_chain(self, x: Tensor) -> Tensor:
        """The whole chain on a sequence."""
        return run(self.chain, x, self.grad_checkpointing)

    def as_sequence(self, x: Tensor) -> Tensor:
        """What the links are given, [T, B, ...]."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.run_chain(self.as_sequence(x))

    def _cached(self, build: Any) -> Any:
        """What `build` gives; built anew when a module inside has been exchanged."""
        if self._seen is not None and torch.compiler.is_compiling():
            return self._seen[1]
        modules = tuple(self.modules())
        if self._seen is None or not _same(self._seen[0], modules):
            self._seen = (modules, build())
        return self._seen[1]


def _same(before: tuple[nn.Module, ...], now: tuple[nn.Module, ...]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


class Residual(Chained):
    """shortcut(x) + main(x), [T, B, ...] -> [T, B, ...].

        saccade.Residual(saccade.LIF(), nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64))
        saccade.Residual(..., shortcut=nn.Sequential(nn.Conv2d(64, 128, 1, 2, bias=False), nn.BatchNorm2d(128)))

    Args:
        main: modules that are called one after the other; see `saccade.Sequential` for what they may be.
        shortcut: what x goes through on the other side; None: x itself.

    Blocks with names of their own for their parts subclass this and say their `branches()`.
    """

    def __init__(self, *main: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        for number, module in enumerate(main):
            self.add_module(str(number), converted(module))
        if shortcut is not None:
            self.add_module("shortcut", converted(shortcut))

    def branches(self) -> tuple[Links, Links]:
        """The links of main and of the shortcut; no links: x itself."""
        main = [(name, module) for name, module in members(self) if name != "shortcut"]
        return main, [(name, module) for name, module in members(self) if name == "shortcut"]

    def links(self) -> Links:
        return [("", self)]

    def forward(self, x: Tensor) -> Tensor:
        (link,) = self.chain
        assert isinstance(link, ResidualLink)
        return run_residual(link, x, self.grad_checkpointing)
