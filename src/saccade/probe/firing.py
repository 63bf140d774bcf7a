"""Which neurons fire, when, and which never or always do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from saccade.models.network import SpikingNetwork
from saccade.nn.neuron import neurons_of
from saccade.probe.hooks import device_of, probed
from saccade.tables import Rows


@dataclass
class LayerFiring:
    """Spikes of one layer of neurons, counted over samples and steps; before a gate multiplies them."""

    layer: str
    #: samples seen
    samples: int = 0
    #: spikes per step, [T], and how many there could have been
    step_spikes: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    step_places: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    #: spikes per neuron, in the layer's shape [C, H, W] or [F]
    spikes: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    #: steps times samples: how often each neuron could have fired
    chances: int = 0

    def add(self, spikes: Tensor) -> None:
        """Count a sequence [T, B, ...]."""
        fired = spikes != 0
        T, B = fired.shape[:2]
        self.samples += B
        self.chances += T * B
        self.spikes = self.spikes + fired.sum(dim=(0, 1)).cpu()
        if len(self.step_spikes) < T:
            missing = torch.zeros(T - len(self.step_spikes), dtype=torch.int64)
            self.step_spikes, self.step_places = (
                torch.cat((self.step_spikes, missing)),
                torch.cat((self.step_places, missing)),
            )
        self.step_spikes[:T] += fired.flatten(1).sum(1).cpu()
        self.step_places[:T] += fired[0].numel()

    @property
    def neurons(self) -> int:
        """How many neurons the layer has."""
        return self.spikes.numel()

    @property
    def rate(self) -> float:
        """Spikes per neuron and step, 0 to 1."""
        return float(self.step_spikes.sum() / self.step_places.sum())

    def rates(self) -> Tensor:
        """The rate of every neuron, in the layer's shape."""
        return self.spikes / self.chances

    def cells(self) -> dict[str, str]:
        """A row of a table; "by step" holds the rates of the steps."""
        found = self.summary()
        return {
            "layer": self.layer,
            "neurons": f"{self.neurons:,}",
            "rate": f"{self.rate:.4f}",
            "never": str(found["dead"]),
            "always": str(found["saturated"]),
            "by step": " ".join(f"{rate:.3f}" for rate in found["rate_per_step"]),
        }

    def summary(self) -> dict[str, Any]:
        """Numbers as JSON: a dead neuron never fired in all samples and steps, a saturated one always did."""
        share, edges = torch.histogram(self.rates().flatten().double(), bins=20, range=(0.0, 1.0))
        return {
            "layer": self.layer,
            "neurons": self.neurons,
            "samples": self.samples,
            "rate": self.rate,
            "rate_per_step": (self.step_spikes / self.step_places).tolist(),
            "dead": int((self.spikes == 0).sum()),
            "saturated": int((self.spikes == self.chances).sum()),
            "rate_histogram": {"edges": edges.tolist(), "neurons": share.long().tolist()},
        }


@torch.no_grad()
def measure_firing(model: SpikingNetwork, batches: Iterable[Tensor]) -> Rows[LayerFiring]:
    """Count the spikes of every layer of neurons, in the order in which they run.

    Args:
        model: mode and hooks are as before afterwards.
        batches: images [B, C, H, W] or sequences [T, B, C, H, W].
    """
    layers: dict[str, LayerFiring] = {}

    def counter(name: str) -> Any:
        def count(module: nn.Module, inputs: Any, spikes: Tensor) -> None:
            layers.setdefault(name, LayerFiring(name)).add(spikes)

        return count

    with probed(model) as handles:
        for name, module in neurons_of(model).items():
            handles.append(module.register_forward_hook(counter(name)))
        for x in batches:
            model(x.to(device_of(model)))
    return Rows(layers.values())


@torch.no_grad()
def record_spikes(model: SpikingNetwork, x: Tensor, most: int = 64) -> dict[str, Tensor]:
    """Raster of the first sample: for each layer the spikes [T, n] of at most `most` neurons, evenly spaced."""
    rasters: dict[str, Tensor] = {}

    def recorder(name: str) -> Any:
        def record(module: nn.Module, inputs: Any, spikes: Tensor) -> None:
            flat = spikes[:, 0].flatten(1)
            chosen = torch.linspace(0, flat.shape[1] - 1, min(most, flat.shape[1])).round().long()
            rasters[name] = flat[:, chosen.to(flat.device)].cpu() != 0

        return record

    with probed(model) as handles:
        for name, module in neurons_of(model).items():
            handles.append(module.register_forward_hook(recorder(name)))
        model(x)
    return rasters
