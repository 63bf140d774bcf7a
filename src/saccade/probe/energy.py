"""Energy estimates that can be recomputed by hand: counted operations times a table of costs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from saccade.models.network import SpikingNetwork
from saccade.nn import Neuron
from saccade.nn.attention import GatedNeuron, create_attention
from saccade.probe.costs import FLOAT32, CostTable
from saccade.probe.counting import KINDS, Count, LayerOperations, count_operations
from saccade.probe.hooks import batch_size
from saccade.probe.rules import Operations
from saccade.tables import html_table

FORMULA = (
    "energy = {mac_pj:g} pJ x MACs + {ac_pj:g} pJ x ACs + {mul_pj:g} pJ x multiplications + {add_pj:g} pJ x additions "
    "+ {function_pj:g} pJ x functions"
)
NOTES = (
    "AC: a convolution or linear layer reads inputs that are all 0 or 1; one addition for each input 1 and weight it "
    "meets, counted from the spikes of these samples, borders and strides exact.",
    "MAC: it reads any other values (images, event counts, gated or average-pooled spikes); one for each input and "
    "weight, zeros included. Zeros of a padding are not counted.",
    "Self attention: a product of two matrices of spikes adds, for every spike of one, a row of the other (ACs). Its "
    "products as MACs, and as ANDs and counts of the pairs of spikes that meet, as papers state them, stand beside it.",
    "The gates are in the sum, every product, sum and function of them; so are the neurons and all pooling.",
    "Batch norms are folded into the layers before them, biases start the sums, comparisons and maxima are free.",
    "Arithmetic alone: no memory and no communication, which can cost more than all of it.",
    "ReLU at T=1: the same network with a ReLU for every neuron, without gates, on one image (the mean of the frames).",
)
#: what energy is spent on, by kind of layer
SPENT_ON = {
    "synapse": "convolutions, linear",
    "attention": "attention",
    "neuron": "neurons",
    "other": "pooling, sums",
}
PAPERS_FORMULA = (
    "by the papers: {mac_pj:g} pJ x products of the first layer + {ac_pj:g} pJ x share of inputs that are not zero x "
    "products of every other layer; ReLU: {mac_pj:g} pJ x products of all layers"
)
PAPERS_NOTE = (
    "The papers' convention (rate x FLOPs) leaves out the gates, the neurons and all pooling, and takes every layer "
    "but the first for additions of spikes, also where it reads gated, pooled or membrane values. Published ratios to "
    "a network without spikes are commonly of this kind."
)


@dataclass(frozen=True)
class EnergyReport:
    """Operations and energy of a network on some samples, and of its twin without spikes."""

    network: Count
    relu: Count
    samples: int
    steps: int
    table: CostTable

    def energy_pj(self, operations: Operations) -> float:
        """Energy of some operations, in pJ."""
        return self.table.energy_pj(operations)

    def sums(self, count: Count | None = None) -> dict[str, Operations]:
        """Operations by kind of layer, and "total"; of the spiking network, or of another count."""
        found = {kind: Operations() for kind in (*KINDS, "total")}
        for layer in (count or self.network).layers:
            found[layer.kind] += layer.operations
            found["total"] += layer.operations
        return found

    def energy_mj(self, kind: str = "total") -> float:
        """Energy per sample of the spiking network, in mJ."""
        return self.energy_pj(self.sums()[kind]) / self.samples * 1e-9

    def relu_energy_mj(self) -> float:
        """Energy per sample of the ReLU network, in mJ."""
        return self.energy_pj(self.sums(self.relu)["total"]) / self.samples * 1e-9

    def zero_skipping_energy_mj(self) -> float:
        """Energy per sample of the spiking network if MACs of convolutions and linear layers skipped zeros, in mJ."""
        skipped = sum(_zero_macs(layer.operations) for layer in self.network.layers)
        return self.energy_mj() - self.table.mac_pj * skipped / self.samples * 1e-9

    def papers_energy_mj(self) -> float:
        """Energy per sample by the papers' convention, in mJ: e_mac N_1 + e_ac sum of r_l N_l over the layers after it.

        N_l are the products of convolution or linear layer l over all steps, r_l the share of its inputs that are not
        zero. Gates, neurons and pooling are left out, and what a layer reads is not asked.
        """
        synapses = [layer.operations for layer in self._synapses(self.network)]
        if not synapses:
            return 0.0
        first, *rest = synapses
        spiked = sum(o.connections * o.active / o.inputs for o in rest)
        return (self.table.mac_pj * first.connections + self.table.ac_pj * spiked) / self.samples * 1e-9

    def papers_relu_energy_mj(self) -> float:
        """Energy per sample of the ReLU network by the papers' convention, in mJ: every product is a MAC."""
        products = sum(layer.operations.connections for layer in self._synapses(self.relu))
        return self.table.mac_pj * products / self.samples * 1e-9

    def self_attention(self) -> dict[str, dict[str, float]]:
        """By layer, per sample: the products of a self attention as MACs, and as ANDs and counts (ACs), in mJ."""
        return {
            name: {
                "products": o.products,
                "counts": o.counts,
                "energy_as_macs_mj": self.table.mac_pj * o.products / self.samples * 1e-9,
                "energy_as_counts_mj": self.table.ac_pj * o.counts / self.samples * 1e-9,
            }
            for name, o in self.network.self_attention.items()
        }

    def rows(self) -> list[tuple[str, str]]:
        """Energies per sample in words: what for, and how much."""
        total, relu = self.energy_mj(), self.relu_energy_mj()
        papers, papers_relu = self.papers_energy_mj(), self.papers_relu_energy_mj()
        products = self.self_attention().values()
        as_macs, as_counts = (sum(o[f"energy_as_{way}_mj"] for o in products) for way in ("macs", "counts"))
        return [
            *((text, _nanojoule(self.energy_mj(kind))) for kind, text in SPENT_ON.items()),
            ("total", _nanojoule(total)),
            ("total if no zero were multiplied", _nanojoule(self.zero_skipping_energy_mj())),
            ("ReLU at T=1, no gates", _nanojoule(relu)),
            ("ReLU / total", _times(relu, total)),
            ("by the papers' convention", _nanojoule(papers)),
            ("ReLU by the papers' convention", _nanojoule(papers_relu)),
            ("ReLU / total by the papers' convention", _times(papers_relu, papers)),
            *([("products of self attention as MACs", _nanojoule(as_macs))] if products else []),
            *([("products of self attention as ANDs and counts", _nanojoule(as_counts))] if products else []),
        ]

    def _repr_html_(self) -> str:
        formula = FORMULA.format(**asdict(self.table))
        return html_table(
            self.rows(),
            caption=f"Energy per sample, mean of {self.samples}",
            note=f"{formula}. Costs: {self.table.source}.",
        )

    def _synapses(self, count: Count) -> list[LayerOperations]:
        return [layer for layer in count.layers if layer.kind == "synapse"]

    def as_json(self) -> dict[str, Any]:
        """Layers and sums over all samples (whole numbers), energies per sample, the formula and its sources."""
        return {
            "samples": self.samples,
            "steps": self.steps,
            "table": asdict(self.table),
            "formula": FORMULA.format(**asdict(self.table)),
            "notes": list(NOTES),
            "layers": [self._row(layer) for layer in self.network.layers],
            "sums": {kind: self._sum(operations) for kind, operations in self.sums().items()},
            "relu": {kind: self._sum(operations) for kind, operations in self.sums(self.relu).items()},
            "energy_mj": self.energy_mj(),
            "zero_skipping_energy_mj": self.zero_skipping_energy_mj(),
            "relu_energy_mj": self.relu_energy_mj(),
            "papers": {
                "energy_mj": self.papers_energy_mj(),
                "relu_energy_mj": self.papers_relu_energy_mj(),
                "formula": PAPERS_FORMULA.format(**asdict(self.table)),
                "note": PAPERS_NOTE,
            },
            "self_attention": self.self_attention(),
            "not_counted": {**self.network.not_counted, **self.relu.not_counted},
        }

    def _row(self, layer: LayerOperations) -> dict[str, Any]:
        o = layer.operations
        rate = o.active / o.inputs if o.inputs else None
        return {
            "layer": layer.layer or "(network)",
            "kind": layer.kind,
            "reads": layer.inputs,
            "input_rate": rate,
            **self._sum(o),
        }

    def _sum(self, operations: Operations) -> dict[str, Any]:
        return {**asdict(operations), "energy_mj": self.energy_pj(operations) / self.samples * 1e-9}


def measure_energy(model: SpikingNetwork, x: Tensor | Sequence[Tensor], table: CostTable = FLOAT32) -> EnergyReport:
    """Count the operations of a forward pass with the spikes it really fires, and of the ReLU network at T=1.

    Args:
        model: mode and hooks are as before afterwards.
        x: images [B, C, H, W] or a sequence [T, B, C, H, W], or several of them; the more samples, the steadier the
            rates.
        table: costs; see `cost_table`.

    Raises:
        ValueError: a module that is not one of saccade's networks.
    """
    if not isinstance(model, SpikingNetwork):
        raise ValueError(
            f"measure_energy takes a network of saccade, which knows its time steps and has a twin with ReLU, not a "
            f"{type(model).__name__}. The operations of any module are counted by: count_operations(module, input)."
        )
    batches = [x] if isinstance(x, Tensor) else list(x)
    network = count_operations(model, batches)
    still = [batch.mean(0) if batch.ndim == 5 else batch for batch in batches]
    relu = count_operations(relu_twin(model), still, spiking=False)
    return EnergyReport(network, relu, sum(map(batch_size, batches)), model.steps, table)


def relu_twin(model: SpikingNetwork) -> SpikingNetwork:
    """A copy with a ReLU in place of every neuron, without gates, for one step."""
    twin = copy.deepcopy(model)
    twin.steps = 1
    for name, gate in twin.attention_modules().items():
        place = twin.get_submodule(name)
        if isinstance(place, GatedNeuron):
            place.attention = create_attention("none", gate.channels, 1)
        else:
            twin.set_submodule(name, nn.Identity())
    for module in list(twin.modules()):
        for name, child in module.named_children():
            if isinstance(child, Neuron):
                setattr(module, name, nn.ReLU())
    return twin


def _nanojoule(mj: float) -> str:
    return f"{1e6 * mj:,.3f} nJ"


def _times(relu_mj: float, mj: float) -> str:
    return f"{relu_mj / mj:.3f}" if mj else "undefined"


def _zero_macs(o: Operations) -> int:
    """MACs that multiply a zero; where spikes and real values mix, those of the spikes are already left out."""
    return max(0, o.macs - (o.synops - o.acs)) if o.connections else 0
