"""Residuals for inference."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saccade.engines.inference.layers import Layer
from saccade.engines.inference.neuron import packed
from saccade.engines.inference.site import spans
from saccade.engines.inference.steps import Steps, floats


class InPlace(nn.Module):
    """shortcut(x) + last(inner(x)): the stream x [T, B, C, H, W] is added to piece by piece.

    Args:
        inner: all of the main branch but its last layer.
        last: that layer.
        shortcut: what the stream goes through; None: x itself.
        owned: whether x may be overwritten.
    """

    def __init__(self, inner: Steps, last: Layer, shortcut: Steps | None, owned: bool) -> None:
        super().__init__()
        self.inner, self.last, self.shortcut, self.owned = inner, last, shortcut, owned

    def forward(self, x: Tensor) -> Tensor:
        return self._add(self.inner(x), x if self.shortcut is None else self.shortcut(x))

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step of a stream."""
        return self._add(self.inner.step(x, walk), x if self.shortcut is None else self.shortcut.step(x, walk))

    def _add(self, fed: Tensor, stream: Tensor) -> Tensor:
        if len(stream) != len(fed):  # a static image that no neuron has seen yet
            stream = packed(stream.expand(len(fed), *stream.shape[1:]))
        elif stream.dtype == torch.uint8:
            stream = floats(stream)
        elif self.shortcut is None and not self.owned:
            stream = stream.clone()
        for first, last in spans(len(fed), self.last.numbers(fed)):
            stream[first:last] += self.last(fed[first:last])
        return stream


class Sum(nn.Module):
    """shortcut(x) + main(x), where the main branch ends with no layer.

    Args:
        main, shortcut: the branches; None: x itself.
        whole: whether both give numbers of spikes whose sum a byte holds.
    """

    def __init__(self, main: Steps, shortcut: Steps | None, whole: bool) -> None:
        super().__init__()
        self.main, self.shortcut, self.whole = main, shortcut, whole

    def forward(self, x: Tensor) -> Tensor:
        return self._add(x if self.shortcut is None else self.shortcut(x), self.main(x))

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step of a stream."""
        return self._add(x if self.shortcut is None else self.shortcut.step(x, walk), self.main.step(x, walk))

    def _add(self, stream: Tensor, main: Tensor) -> Tensor:
        """One of them may be one step that stands for all."""
        return (stream if self.whole else floats(stream)) + main
