"""When training goes astray: numbers that are not finite, networks that never fire or always do; where, and what then.

Looking costs one norm over the gradients and the statistics of the batch norms a step; on a GPU, where looking means
waiting, only every 50th step is looked at, unless steps are to be skipped. Which layer it was is found out afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from saccade.nn.neuron import neurons_of

#: on a GPU, every so many steps are looked at
GPU_STEPS = 50
#: so many steps skipped one after the other, or so many rollbacks, are the end
MOST_SKIPPED, MOST_ROLLBACKS = 20, 5
#: events that are kept in words
MOST_EVENTS = 100
#: what is left of the learning rate after a rollback
ROLLBACK_LR = 0.5
#: rates from which on a layer counts as saturated
SATURATED = 0.999
#: steps that must lie behind a network that is called dead: the batch norms of a young one still follow their data
SETTLED_STEPS = 100


class DivergedError(ValueError):
    """The loss, the gradients, the statistics or the weights are no longer finite, or no neuron fires any more."""


@dataclass(frozen=True)
class Divergence:
    """What has gone astray in a run so far; kept in its checkpoint."""

    #: sentences, in order; the first `MOST_EVENTS`
    events: tuple[str, ...] = ()
    skipped_steps: int = 0
    rollbacks: int = 0

    @property
    def lr_factor(self) -> float:
        """What the rollbacks have left of the learning rate."""
        return ROLLBACK_LR**self.rollbacks

    def after_skip(self, event: str) -> Divergence:
        """The same with one step more that was skipped."""
        return Divergence((*self.events, event)[:MOST_EVENTS], self.skipped_steps + 1, self.rollbacks)

    def after_rollback(self, event: str) -> Divergence:
        """The same with one rollback more."""
        return Divergence((*self.events, event)[:MOST_EVENTS], self.skipped_steps, self.rollbacks + 1)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the checkpoint and for result.json."""
        return {**asdict(self), "events": list(self.events)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Divergence:
        """What `as_dict` made; of nothing, that of a run without events."""
        return cls(tuple(values.get("events", ())), values.get("skipped_steps", 0), values.get("rollbacks", 0))


def is_finite(network: nn.Module) -> bool:
    """Whether all gradients, and all statistics of batch norms, are finite numbers."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return bool(torch.isfinite(get_total_norm([*gradients, *statistics(network).values()])))


def statistics(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that are numbers of any kind but whole ones: what batch norms have seen."""
    return {name: buffer for name, buffer in network.named_buffers() if buffer.is_floating_point()}


def astray(network: nn.Module, x: Tensor | None = None) -> str:
    """What is not finite in a network, by name, the first cause first: a weight, the input, a layer's output, a
    statistic, a gradient.

    Args:
        network: as it is after the step.
        x: the batch of that step; None: it is not run again.
    """
    weights = _not_finite(dict(network.named_parameters()))
    if weights:
        return f"the weights {_some(weights)} are not finite"
    if x is not None:
        if not bool(torch.isfinite(x).all()):
            return "the input is not finite"
        layer = _first_layer(network, x)
        if layer is not None:
            return layer
    seen = _not_finite(statistics(network))
    if seen:
        return f"the statistics {_some(seen)} are not finite"
    gradients = _not_finite({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
    if gradients:
        return f"the gradient came in at {gradients[-1]}, and reached {len(gradients)} of the weights"
    return "no layer alone: the loss itself"


def _not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    return [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


@torch.no_grad()
def _first_layer(network: nn.Module, x: Tensor) -> str | None:
    """The first layer with an output, or of neurons with a current, that is not finite; the network stays as it is."""
    found: list[str] = []
    neurons = {id(neuron): name for name, neuron in neurons_of(network).items()}

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            given = [value for value in inputs if isinstance(value, Tensor)]
            if id(module) in neurons and not all(bool(torch.isfinite(value).all()) for value in given):
                found.append(f"the potentials of {name} are not finite")
            if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
                found.append(f"the output of {name} is not finite")

        return hook

    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    handles = [
        module.register_forward_hook(look(name))
        for name, module in network.named_modules()
        if name and (id(module) in neurons or not list(module.children()))
    ]
    try:
        network(x)
    finally:
        for handle in handles:
            handle.remove()
        restore(network, before)
    return found[0] if found else None


def restore(network: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    """Put buffers back to what they were."""
    for name, buffer in network.named_buffers():
        if name in buffers:
            buffer.copy_(buffers[name])


def silence(rates: Mapping[str, float]) -> tuple[list[str], bool]:
    """Sentences on layers that never fire, or always do, and whether that is so for the network as a whole."""
    silent = [name for name, rate in rates.items() if rate == 0]
    full = [name for name, rate in rates.items() if rate >= SATURATED]
    said = [f"no neuron of {name} fires" for name in silent] + [f"every neuron of {name} always fires" for name in full]
    return said, bool(rates) and len(rates) in (len(silent), len(full))
