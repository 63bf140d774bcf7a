"""A network in the two forms that can be written down as one graph: all steps unrolled, or one step with its state.

Both run the reference, module by module, and hand out what was asked for beside the logits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from saccade.engines.chained import Chained
from saccade.engines.streaming import SEEN, State, Walk, stream
from saccade.errors import unknown_name
from saccade.nn.attention.contract import Attention, NoAttention
from saccade.nn.neuron import LIF, Neuron, neurons_of

#: what a graph can give beside the logits
EXTRAS = ("gates", "rates", "spikes")
#: the input that counts the steps of a stream, where a gate needs to know which comes
STEP = "step"


def private_copy(model: nn.Module, what: str) -> Any:
    """A copy of a network that may be changed, in evaluation mode.

    Raises:
        ValueError: a network that does not classify, or one in training mode.
    """
    if not isinstance(model, Chained) or not hasattr(model, "attention_modules"):
        generates = getattr(model, "kind", None) == "generator"
        why = "draws random spikes, which no graph can say" if generates else "says no links"
        raise ValueError(
            f"{what} takes a network that classifies, from saccade.create_model, saccade.Sequential or a Classifier of "
            f"your own; {type(model).__name__} {why}."
        )
    if model.training:
        raise ValueError(f"{what} takes a network in evaluation mode: call model.eval() first.")
    return copy.deepcopy(model).cpu().requires_grad_(False)


class Traced(nn.Module):
    """Base of both forms.

    Args:
        network: a private copy, which is changed.
        extras: some of `EXTRAS`.
    """

    def __init__(self, network: Any, extras: Sequence[str]) -> None:
        super().__init__()
        for extra in extras:
            if extra not in EXTRAS:
                raise unknown_name("output", extra, EXTRAS)
        self.network = network
        self.extras = tuple(extra for extra in EXTRAS if extra in extras)
        self._fired: dict[str, Tensor] = {}
        self._gates: dict[str, Tensor] = {}

    def outputs(self) -> dict[str, Tensor]:
        """What was asked for beside the logits, of the last call. Every step is a row of these, [T, B, ...]."""
        rates = {name: spikes.flatten(2).mean(2) for name, spikes in self._fired.items()}
        found = {"gates": ("gate", self._gates), "rates": ("rate", rates), "spikes": ("spikes", self._fired)}
        return {
            f"{word} {name}": value
            for extra in self.extras
            for word, values in (found[extra],)
            for name, value in values.items()
        }


class Unrolled(Traced):
    """All T steps: a sequence [T, B, C, H, W] or, with `image`, an image [B, C, H, W] -> logits [T, B, K], extras."""

    def __init__(self, network: Any, extras: Sequence[str], image: bool) -> None:
        super().__init__(network, extras)
        self.image = image
        for module in network.modules():
            if isinstance(module, LIF):
                module.backend = "reference"  # no engine passes it by
        for name, neuron in neurons_of(network).items():
            _replace(neuron, "forward", _recorded(_all_steps(neuron), self._fired, name))
        for name, gate in network.attention_modules().items():
            if not isinstance(gate, NoAttention):
                _replace(gate, "compute_gate", _recorded(gate.compute_gate, self._gates, name))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self._fired.clear()
        self._gates.clear()
        logits = self.network(x)
        return logits, *self.outputs().values()


def _all_steps(neuron: Any) -> Callable[[Tensor], Tensor]:
    """The neuron's forward, as a loop over its steps where it would be a kernel."""
    if isinstance(neuron, LIF) and type(neuron).forward is LIF.forward:
        return Neuron.forward.__get__(neuron)
    return neuron.forward


def _recorded(call: Callable[..., Tensor], into: dict[str, Tensor], name: str) -> Callable[..., Tensor]:
    def recorded(*arguments: Tensor) -> Tensor:
        into[name] = call(*arguments)
        return into[name]

    return recorded


def _replace(module: nn.Module, name: str, call: Callable[..., Any]) -> None:
    """An instance's own method; around torch, which keeps modules and parameters in places of their own."""
    module.__dict__[name] = call


class Stepwise(Traced):
    """One step of a stream: (x_t [B, C, H, W], [t,] state) -> (logits [B, K], [t + 1,] state, extras [1, B, ...]).

    The state is all zeros at rest. `first` is a first frame, by which the names and shapes of the state are found.

    Raises:
        ValueError: a network that cannot be streamed, or whose rest is not all zeros.
    """

    def __init__(self, network: Any, extras: Sequence[str], first: Tensor) -> None:
        super().__init__(network, extras)
        stream(network)  # refuses what cannot be streamed
        self._named = {gate: name for name, gate in network.attention_modules().items()}
        self.counts = any(gate.fixed_steps or gate.looks_at_steps != "own" for gate in self._named)
        for name, neuron in neurons_of(network).items():
            if "rates" in self.extras or "spikes" in self.extras:
                _replace(neuron, "step", self._recorded_step(neuron, name))
        start = torch.zeros((), dtype=torch.long)
        logits, state = self._run(first, start, {})
        #: the state at rest, by name
        self.rest: State = {name: torch.zeros_like(value) for name, value in state.items()}
        again, state_again = self._run(first, start, dict(self.rest))
        differing = [name for name in state if not torch.equal(state[name], state_again[name])]
        if differing or not torch.equal(logits, again):
            raise ValueError(
                f"{type(network).__name__} begins otherwise than from zeros"
                f"{f' (at {differing[0]})' if differing else ''}, which a graph of one step cannot say: a graph has no "
                "first step. Export all steps unrolled."
            )

    def forward(self, x_t: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        t, held = (given[0], given[1:]) if self.counts else (None, given)
        logits, state = self._run(x_t, t, dict(zip(self.rest, held, strict=True)))
        count = () if t is None else (t + 1,)
        return logits, *count, *(state[name] for name in self.rest), *self.outputs().values()

    def _run(self, x_t: Tensor, t: Tensor | None, state: State) -> tuple[Tensor, State]:
        self._fired.clear()
        self._gates.clear()
        walk = _FixedWalk(state, t, "", {})
        logits = walk.links(self.network.chain, x_t[None])[0]
        self._gates.update({self._named[gate]: found for gate, found in walk.gates.items()})
        return logits, state

    def _recorded_step(self, neuron: Any, name: str) -> Callable[..., tuple[Tensor, Tensor]]:
        step = neuron.step

        def recorded(x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
            spikes_t, state = step(x_t, state)
            self._fired[name] = spikes_t[None]
            return spikes_t, state

        return recorded


class _FixedWalk(Walk):
    """A walk whose state keeps its shapes: what gates have seen is a room for all T steps, zero where none came."""

    def __init__(self, state: State, t: Any, prefix: str, gates: dict[Attention, Tensor]) -> None:
        super().__init__(state, t, prefix)
        self.gates = gates

    def below(self, name: str) -> _FixedWalk:
        return _FixedWalk(self.state, self.t, f"{self.prefix}{name}.", self.gates)

    def gate(self, name: str, gate: Attention, source: Tensor) -> Tensor:
        found = self._gate(name, gate, source)
        if not isinstance(gate, NoAttention):
            self.gates[gate] = found
        return found

    def _gate(self, name: str, gate: Attention, source: Tensor) -> Tensor:
        if gate.looks_at_steps == "own" and not gate.fixed_steps:
            return gate.compute_gate(source)
        key = self.prefix + name + SEEN
        seen_t = source.mean((3, 4), keepdim=True) if gate.needs == "means" else source
        before = self.state.get(key)
        if before is None:
            before = seen_t.new_zeros(gate.steps, *seen_t.shape[1:])
        now = (torch.arange(gate.steps) == self.t).view(-1, 1, 1, 1, 1)
        whole = torch.where(now, seen_t, before)
        if gate.looks_at_steps == "past":
            self.state[key] = whole
        found = gate.compute_gate(whole)
        return found if len(found) == 1 else found.index_select(0, torch.as_tensor(self.t).view(1))


def batch_axis(name: str) -> int:
    """Where the batch is in a tensor of the state."""
    return 1 if name.endswith(SEEN) else 0
