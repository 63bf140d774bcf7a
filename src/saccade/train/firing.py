"""How often neurons fire: the mean of the spikes of every layer of neurons, over neurons, samples and steps."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from saccade.nn.neuron import neurons_of
from saccade.nn.together import summed


class FiringMeter:
    """Counts the spikes of a network's layers of neurons while it is entered.

        with FiringMeter(model) as meter:
            model(x)
        meter.rates()       # {layer name: share of neurons that fire per step, 0 to 1}

    What is counted is what the neuron fires, before a gate multiplies it.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = neurons_of(model)
        self._spikes: dict[str, Tensor] = {}
        self._places: dict[str, int] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> FiringMeter:
        self._spikes.clear()
        self._places.clear()
        for name, layer in self.layers.items():
            self._handles.append(layer.register_forward_hook(self._counter(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _counter(self, name: str) -> Any:
        def count(module: nn.Module, inputs: tuple[Tensor, ...], spikes: Tensor) -> None:
            fired = torch.count_nonzero(spikes)  # stays on the device: no waiting for it in every layer
            self._spikes[name] = self._spikes[name] + fired if name in self._spikes else fired
            self._places[name] = self._places.get(name, 0) + spikes.numel()

        return count

    def pool(self) -> None:
        """Add up what all processes of a run have counted."""
        counts = [n for name in self.layers for n in (self._spikes.get(name, 0), self._places.get(name, 0))]
        total = summed(*counts)
        for name, spikes, places in zip(self.layers, total[::2], total[1::2], strict=True):
            if places:
                self._spikes[name], self._places[name] = torch.tensor(spikes, dtype=torch.float64), int(places)

    def rates(self) -> dict[str, float]:
        """Share of neurons that fire per step, per layer, in the network's order; without layers that never ran."""
        return {name: float(self._spikes[name]) / self._places[name] for name in self.layers if name in self._spikes}

    def mean_rate(self, part: str = "") -> float:
        """The same over all neurons of the network, or of the module named `part`; 0 if it has none.

        A layer counts by its neurons: this is the share of them that fire, not a mean of the layers' rates.
        """
        layers = [name for name in self._spikes if not part or name == part or name.startswith(f"{part}.")]
        return sum(float(self._spikes[name]) for name in layers) / max(1, sum(self._places[name] for name in layers))
