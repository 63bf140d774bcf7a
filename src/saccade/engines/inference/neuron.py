"""Neurons for inference: spikes as bytes or in place, fed in pieces of time.

Sequences are [T, B, ...] whose steps follow one another in memory, in channels-last order if they have height and
width; `packed` brings any sequence into that form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.nn.folding import fold_time, unfold_time
from saccade.nn.neuron import LIF
from saccade.ops.lif import cpu, lif_step
from saccade.ops.plumbing.threads import cut, parts_of, run_parts

BLOCK = 1024  # neurons


def packed(x: Tensor) -> Tensor:
    """[T, B, ...] with its steps one after the other in memory, [T, B, C, H, W] in channels-last order."""
    if x.ndim != 5:
        return x.contiguous()
    return unfold_time(fold_time(x).contiguous(memory_format=torch.channels_last), x.shape[0])


def empty_steps(steps: int, like: Tensor, dtype: torch.dtype) -> Tensor:
    """[steps, ...] packed, with the trailing shape of `like`, not initialised."""
    shape = (steps, *like.shape[1:])
    if like.ndim != 5:
        return torch.empty(shape, dtype=dtype, device=like.device)
    T, B, C, H, W = shape
    return torch.empty((T, B, H, W, C), dtype=dtype, device=like.device).permute(0, 1, 4, 2, 3)


class Fire:
    """One run of a LIF neuron over a sequence that may come in pieces: `fire(x, out)`, piece after piece.

    The potentials start at 0, or at those of an earlier run. `x` [t, ...] currents; `out` [t, ...] spikes, of x's dtype
    or uint8, may be x itself.
    A static image is x.expand(t, ...). Both packed, and of the same layout from call to call.
    """

    def __init__(self, neuron: LIF, potentials: Tensor | None = None) -> None:
        decay, gain = neuron._decay_and_gain()
        self.decay, self.gain, self.spec = float(decay), float(gain), neuron.spec
        known = cpu.unavailable() is None and neuron.spec.beyond_kernels() is None
        self.compiled = neuron.backend != "reference" and known
        #: [B, ...], or flat where the loop is compiled
        self.v = potentials.flatten() if potentials is not None and self.compiled else potentials

    def potentials(self, batch: int) -> Tensor:
        """What to go on from: [B, ...]."""
        assert self.v is not None
        return self.v.view(batch, -1) if self.v.ndim == 1 else self.v

    def __call__(self, x: Tensor, out: Tensor) -> Tensor:
        if self.compiled and x.device.type == "cpu" and x.numel():
            self._compiled(x, out)
        else:
            self._plain(x, out)
        return out

    def _plain(self, x: Tensor, out: Tensor) -> None:
        for t in range(len(out)):
            out[t], self.v = lif_step(x[t], self.v, self.decay, self.gain, self.spec)

    def _compiled(self, x: Tensor, out: Tensor) -> None:
        neurons = x.shape[1:].numel()
        if self.v is None:
            self.v = x.new_zeros(neurons)
        arrays = _flat(x), x.stride(0), _flat(out), self.v.numpy(), self._numbers(x)
        _launch(*arrays, self.spec.reset == "hard", neurons, out.numel())

    def _numbers(self, x: Tensor) -> np.ndarray[Any, Any]:
        numbers = self.decay, self.gain, self.spec.threshold, self.spec.level(x.dtype)
        return np.array(numbers, np.float32 if x.dtype == torch.float32 else np.float64)


def _flat(x: Tensor) -> np.ndarray[Any, Any]:
    length = (len(x) - 1) * x.stride(0) + x.shape[1:].numel()
    return x.as_strided((length,), (1,)).numpy()


def _launch(x: Any, stride: int, out: Any, v: Any, constants: Any, hard: bool, neurons: int, work: int) -> None:
    from saccade.engines.inference import kernel

    blocks = math.ceil(neurons / BLOCK)
    parts = parts_of(work, blocks)
    arguments = x, stride, out, v, constants, hard, BLOCK
    run_parts(parts, lambda part: kernel.fire(*arguments, *cut(blocks, part, parts)))


def spike_means(spikes: Tensor) -> Tensor:
    """Mean over height and width of 0/1 bytes, from exact counts: [T, B, C, H, W] uint8 -> [T, B, C, 1, 1] float64."""
    T, B, C, H, W = spikes.shape
    pixels = spikes.permute(0, 1, 3, 4, 2).reshape(T * B, H * W, C)
    if spikes.device.type == "cpu" and cpu.unavailable() is None:
        from saccade.engines.inference import kernel

        counts = torch.empty(T * B, C, dtype=torch.int32)
        kernel.count(pixels.numpy(), counts.numpy())
    else:
        counts = pixels.sum(1, dtype=torch.int32)
    return (counts.double() / (H * W)).view(T, B, C, 1, 1)
