"""Networks whose gates are constants, for formats that cannot compute one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from saccade.engines import Chained
from saccade.export.traced import private_copy
from saccade.nn.attention.contract import Attention, GatedNeuron, NoAttention


class FrozenGate(Attention):
    """A gate that is the same for every input, step and sample: `value` [1, 1, C, H, W], or with ones for C, H, W."""

    looks_at_steps = "own"
    fixed_steps = False

    def __init__(self, gate: Attention, value: Tensor) -> None:
        super().__init__(gate.channels, gate.steps, gate.placement)
        self.rectify = gate.rectify
        self.register_buffer("value", value)

    def compute_gate(self, source: Tensor) -> Tensor:
        value: Tensor = self.value  # type: ignore[assignment]
        return value


def freeze_gates(model: nn.Module, calibration: Iterable[Tensor]) -> Any:
    """A copy of a network whose gates are their means over all steps and samples of the calibration inputs.

    Args:
        model: a network in evaluation mode.
        calibration: batches, as the network takes them.

    Raises:
        ValueError: no batches, or a module that changes spikes otherwise than by a product with its gate.
    """
    network = private_copy(model, "Freezing gates")
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watched(name: str, compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def compute_gate(source: Tensor) -> Tensor:
            gate = compute(source)
            full = gate.expand(*source.shape[:2], *gate.shape[2:])
            sums[name] = sums.get(name, 0) + full.sum((0, 1), keepdim=True)
            counts[name] = counts.get(name, 0) + full.shape[0] * full.shape[1]
            return gate

        return compute_gate

    gates = _gates(network)
    for name, gate in gates.items():
        gate.__dict__["compute_gate"] = watched(name, gate.compute_gate)
    with torch.no_grad():
        for x in calibration:
            network(x)
    for name, gate in gates.items():
        if name not in sums or type(gate).forward is not Attention.forward:
            raise ValueError(
                f"{type(gate).__name__} at {name} cannot be frozen: "
                + (
                    "no calibration input came by."
                    if type(gate).forward is Attention.forward
                    else "it does more than multiply by its gate."
                )
            )
        _put(network, name, FrozenGate(gate, sums[name] / counts[name]))
    return network


def leave_out_gates(model: nn.Module) -> Any:
    """A copy of a network without its gates."""
    network = private_copy(model, "Leaving gates out")
    for name, gate in _gates(network).items():
        _put(network, name, NoAttention(gate.channels, gate.steps))
    return network


def _gates(network: Any) -> dict[str, Attention]:
    return {name: gate for name, gate in network.attention_modules().items() if not isinstance(gate, NoAttention)}


def _put(network: Chained, name: str, gate: Attention) -> None:
    module = network.get_submodule(name)
    if isinstance(module, GatedNeuron):
        module.attention = gate
    else:
        network.set_submodule(name, gate)
