"""Firing rates and energy of a fully spiking VAE, part by part: encoder, posterior, prior, decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saccade.models.fsvae import FSVAE
from saccade.probe.costs import FLOAT32, CostTable
from saccade.probe.counting import count_operations
from saccade.probe.energy import EnergyReport
from saccade.probe.firing import measure_firing
from saccade.probe.hooks import probed
from saccade.probe.rules import Operations

PARTS = ("encoder", "posterior", "prior", "decoder")
#: which parts work for what
USES = {"reconstruct": ("encoder", "posterior", "decoder"), "sample": ("prior", "decoder")}


@dataclass(frozen=True)
class PartReport:
    """One part of the network on a batch."""

    #: spikes per neuron and step, mean over its neurons
    firing_rate: float
    #: of the whole batch
    operations: Operations
    energy_mj: float
    """Per image."""
    #: name of an aten call -> entries of its results
    not_counted: dict[str, int]


class _Encoding(nn.Module):
    """The encoder with the number of steps that it shows an image for."""

    def __init__(self, model: FSVAE) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.steps = model.steps

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x, self.steps)


@torch.no_grad()
def measure_generation(model: FSVAE, images: Tensor, table: CostTable = FLOAT32) -> dict[str, PartReport]:
    """What each part fires and costs while a batch of images is reconstructed, the prior along the same latent spikes.

    Posterior and prior are counted over all steps at once; walked step by step they do the same operations on the
    same spikes. Counted as in `count_operations`: an image is the same at every step, so the first convolution is
    computed once.

    Args:
        model: mode and hooks are as before afterwards.
        images: [B, C, H, W] in [-1, 1]; the more, the steadier the rates.
        table: costs; see `cost_table`.
    """
    with probed(model):
        x = model.encode(images)
        z, _ = model.posterior(x)
        before = torch.cat([torch.zeros_like(z[:1]), z[:-1]])
        runs: dict[str, tuple[nn.Module, Tensor]] = {
            "encoder": (_Encoding(model), images),
            "posterior": (model.posterior.layers, torch.cat([x, before], -1)),
            "prior": (model.prior.layers, before),
            "decoder": (model.decoder, z),
        }
        return {part: _measure(module, x, len(images), table) for part, (module, x) in runs.items()}


def _measure(module: nn.Module, x: Tensor, samples: int, table: CostTable) -> PartReport:
    count = count_operations(module, x)
    energy = EnergyReport(count, count, samples, len(x), table)  # there is no twin without spikes to compare with
    layers = measure_firing(module, [x])  # type: ignore[arg-type]
    rate = sum(layer.rate * layer.neurons for layer in layers) / sum(layer.neurons for layer in layers)
    return PartReport(rate, energy.sums()["total"], energy.energy_mj(), count.not_counted)


def as_json(parts: dict[str, PartReport], table: CostTable = FLOAT32) -> dict[str, Any]:
    """Parts and what they sum to for one image, with the source of the costs."""
    return {
        "firing_rate": {name: part.firing_rate for name, part in parts.items()},
        "energy_mj_per_image": {name: part.energy_mj for name, part in parts.items()},
        "energy_mj_to": {use: sum(parts[name].energy_mj for name in names) for use, names in USES.items()},
        "costs": f"{table.name}: {table.source}",
        "not_counted": {name: part.not_counted for name, part in parts.items() if part.not_counted},
    }
