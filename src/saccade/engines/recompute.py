"""Gradient checkpointing: a part of a network keeps its input alone for backward, and runs again there.

Chen, Xu, Zhang, Guestrin. Training Deep Nets with Sublinear Memory Cost. 2016, arXiv 1604.06174.

`torch.utils.checkpoint` draws the random numbers of the first run again, but it moves the running statistics of batch
norms twice. Here the second run moves copies of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from saccade.chain.patterns import has_global_hooks, has_hooks


def recomputed(run: Callable[[Tensor], Tensor], x: Tensor, *parts: nn.Module) -> Tensor:
    """run(x), of which backward keeps x alone and computes the rest again.

    Output, gradients, buffers and random numbers are those of run(x). It is plain run(x) where nothing is learned (no
    gradients, or evaluation mode), under torch.compile, which chooses itself what it keeps, and where a hook waits for
    one of the modules: it would be called twice.

    Args:
        parts: the modules that `run` calls.
    """
    modules = [module for part in parts for module in part.modules()]
    learns = torch.is_grad_enabled() and any(module.training for module in modules)
    if not learns or torch.compiler.is_compiling() or has_global_hooks() or any(map(has_hooks, modules)):
        return run(x)
    again = OnCopies(modules)
    return checkpoint(run, x, use_reentrant=False, context_fn=lambda: (nullcontext(), again))


def on_copies(*parts: nn.Module) -> OnCopies:
    """A context in which modules, those inside them too, read and move copies of their buffers."""
    return OnCopies(list(dict.fromkeys(module for part in parts for module in part.modules())))


class OnCopies:
    """While entered, modules read and move copies of their buffers. May be entered again: a graph can be kept."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = [module for module in modules if module._buffers]
        self.buffers: list[dict[str, Tensor | None]] = []

    def __enter__(self) -> None:
        self.buffers = [dict(module._buffers) for module in self.modules]
        for module, buffers in zip(self.modules, self.buffers, strict=True):
            module._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})

    def __exit__(self, *_: Any) -> None:
        for module, buffers in zip(self.modules, self.buffers, strict=True):
            module._buffers.update(buffers)
