"""Where spikes are made: a neuron with its gate and the pooling after it, fed by a layer piece by piece.

A layer's currents are many times larger than the spikes they turn into. They are computed for a few steps at a time,
so that they are still in the cache when the neuron reads them, and their memory is used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from saccade.chain.patterns import WINDOW
from saccade.engines.inference.layers import Layer
from saccade.engines.inference.neuron import Fire, empty_steps, packed, spike_means
from saccade.engines.inference.pooling import pool_bytes, pool_frames
from saccade.nn.attention import Attention
from saccade.nn.neuron import LIF

PIECE_BYTES = 1 << 23  # of currents at a time: about the last-level cache of a core


def spans(steps: int, numbers: int) -> Iterator[tuple[int, int]]:
    """The pieces [first, last) of a sequence whose steps make so many float32 currents each."""
    size = max(1, PIECE_BYTES // (4 * max(1, numbers)))
    return ((first, min(first + size, steps)) for first in range(0, steps, size))


class Site(nn.Module):
    """Neuron, gate and pooling: currents [T, B, ...] of `layer` -> spikes or gated spikes, pooled.

    What comes out is uint8 where `writes_bytes`: spikes, or numbers of spikes per window after average pooling.

    Args:
        name: in the network, under which a stream keeps its state.
        neuron: whose constants are used.
        attention: the gate; None if there is none.
        pool: MaxPool2d or AvgPool2d of 2 after the gate, or None.
        steps: T; an input of one step stands for a static image.
        as_bytes: whether spikes that nothing pools or gates leave as bytes.
        layer: what makes the currents from this module's input; None: the input is the currents.
    """

    def __init__(
        self,
        name: str,
        neuron: LIF,
        attention: Attention | None,
        pool: nn.Module | None,
        steps: int,
        as_bytes: bool,
        layer: Layer | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.neuron, self.attention, self.pool, self.layer = neuron, attention, pool, layer
        self.steps = steps
        self.gates_spikes = attention is not None and attention.placement == "spikes"
        self.writes_bytes = not self.gates_spikes and (as_bytes or pool is not None)
        self.spikes_as_bytes = self.writes_bytes or self.gates_spikes

    def forward(self, x: Tensor) -> Tensor:
        if self.attention is None:
            return self._fire(x)
        if not self.gates_spikes:
            return self._fire(packed(self.attention(self._all_steps(x))), made=True)
        if self.attention.source == "spikes":
            return self._gated(self._fire(x, pool=False), None)
        current = self._all_steps(x)
        return self._gated(self._fire(current, made=True, pool=False), current)

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step [1, B, ...] of a stream; `walk` holds the state."""
        current, gate = packed(x) if self.layer is None else self.layer(x), self.attention
        if gate is not None and not self.gates_spikes:
            current = packed(walk.gated(self.name, gate, current, current))
        fire = Fire(self.neuron, walk.state.get(self.name))
        spikes = fire(current, empty_steps(1, current, torch.uint8 if self.spikes_as_bytes else current.dtype))
        walk.state[self.name] = fire.potentials(current.shape[1])
        if gate is None or not self.gates_spikes:
            return spikes if self.pool is None else pool_bytes(spikes, self.pool)
        source = current if gate.source == "current" else spikes.to(_dtype(gate))
        return self._times(walk.gate(self.name, gate, source), spikes)

    def _all_steps(self, x: Tensor) -> Tensor:
        current = x if self.layer is None else self.layer(x)
        return current.expand(self.steps, *current.shape[1:])

    def _fire(self, x: Tensor, made: bool = False, pool: bool = True) -> Tensor:
        """Spikes, pooled if asked for, piece by piece. `made`: x is the currents already."""
        layer = None if made else self.layer
        window = self.pool if pool else None
        fire, out = Fire(self.neuron), None
        for first, current in _pieces(x, layer, self.steps):
            dtype = torch.uint8 if self.spikes_as_bytes else current.dtype
            steps = slice(first, first + len(current))
            if window is None:
                out = empty_steps(self.steps, current, dtype) if out is None else out
                fire(current, out[steps])
            else:
                spikes = pool_bytes(fire(current, empty_steps(len(current), current, dtype)), window)
                out = empty_steps(self.steps, spikes, dtype) if out is None else out
                out[steps] = spikes
        assert out is not None
        return out

    def _gated(self, spikes: Tensor, current: Tensor | None) -> Tensor:
        """The gate times the spikes, pooled. A gate that is one number per channel is applied after the pooling."""
        attention = self.attention
        assert attention is not None
        dtype = _dtype(attention)
        if type(attention).forward is not Attention.forward:  # more than a product with the gate
            gated = attention(spikes.to(dtype), current)
            return packed(gated if self.pool is None else pool_frames(gated, self.pool))
        if attention.needs == "means" and attention.source == "spikes":
            return self._times(attention.gate(spike_means(spikes).to(dtype)), spikes)
        return self._times(attention.gate(spikes.to(dtype), current), spikes)

    def _times(self, gate: Tensor, spikes: Tensor) -> Tensor:
        if self.pool is None:
            return packed(gate * spikes)
        per_channel = gate.shape[-2:] == (1, 1)
        if per_channel and isinstance(self.pool, nn.AvgPool2d):
            return (gate / WINDOW) * pool_bytes(spikes, self.pool)
        if per_channel and self.attention is not None and self.attention.positive:  # the largest stays the largest
            return gate * pool_bytes(spikes, self.pool)
        return packed(pool_frames(gate * spikes, self.pool))


def _dtype(gate: Attention) -> torch.dtype:
    return next((p.dtype for p in gate.parameters()), torch.float32)


def _pieces(x: Tensor, layer: Layer | None, steps: int) -> Iterator[tuple[int, Tensor]]:
    """(first step, currents) piece by piece."""
    if len(x) != steps:  # a static image: one current for all steps
        current = packed(x) if layer is None else layer(x)
        yield 0, current.expand(steps, *current.shape[1:])
    elif layer is None:
        yield 0, packed(x)
    else:
        for first, last in spans(steps, layer.numbers(x)):
            yield first, layer(x[first:last])


class SpikeMean(nn.Module):
    """Mean of spikes or sums of spikes over height and width, from counts: [T, B, C, H, W] -> [T, B, C] of `dtype`."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, spikes: Tensor) -> Tensor:
        return spike_means(spikes.to(torch.uint8)).to(self.dtype).flatten(2)
