"""Networks run one frame after the other: `saccade.stream(model)`.

Everything in a network but neurons and gates treats every step alike. Neurons carry their potential from step to step.
A gate can be computed step by step if it looks at its own step, or at the past: then it is given what it has seen so
far, and only its newest step is used. One that looks at all steps cannot, since most have not come yet: a network with
such gates is streamed as a sliding window, every frame at the cost of T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from saccade.chain import Link, NeuronLink, OtherLink, ResidualLink, check_branches
from saccade.engines.chained import Chained
from saccade.engines.inference.network import Deployed
from saccade.nn.attention.contract import Attention
from saccade.nn.folding import TimeFolded

State = dict[str, Tensor]


def gates_over_time(model: Any) -> list[str]:
    """The gates that look at later steps than their own, as "DTA at stem_neuron"."""
    found = model.attention_modules().items()
    return [f"{type(gate).__name__} at {name}" for name, gate in found if gate.looks_at_steps == "all"]


def stream(model: nn.Module, window: bool = False) -> Stream:
    """A network that is fed one frame after the other, from rest.

        stream = saccade.stream(model)
        for x_t in x:                        # [B, C, H, W]
            logits_so_far = stream(x_t)      # [B, K], the mean over the steps so far
        torch.save(stream.state, path)       # to go on later: stream.state = torch.load(path, weights_only=True)

    Args:
        model: a network in evaluation mode, or `saccade.deploy(network)`. It is left as it is, and its weights are
            shared.
        window: for networks whose gates look ahead: keep the last T frames, with empty ones before the first, and run
            all of them for every new one. Costs T times as much a frame.

    Raises:
        ValueError: a gate looks ahead and `window` is off; a module of which nobody knows whether it looks at other
            steps; a batch norm without running statistics; a network in training mode.
    """
    network = model.door if isinstance(model, Deployed) else model
    if not isinstance(model, Deployed | Chained) or not hasattr(network, "attention_modules"):
        raise ValueError(
            f"stream takes a network that classifies, from saccade.create_model, saccade.Sequential or saccade.deploy, "
            f"not a {type(model).__name__}."
        )
    if model.training:
        raise ValueError("stream takes a network in evaluation mode: call model.eval() first.")
    if window:
        return Window(model)
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"The batch norm {name} has no running statistics: it normalises by those of all steps, which have not "
                "come yet. Build it with track_running_stats=True, or stream a window (window=True)."
            )
    return Stream(model)


class Stream:
    """A network on its way through time; see `stream`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        blocking = gates_over_time(model)
        if blocking:
            raise ValueError(
                f"{', '.join(blocking)} cannot be computed step by step: it looks at all {self._network.steps} steps "
                "before the first output. Build it with causal=True where it has that, use a gate that looks at one "
                "step at a time, stream a window (window=True, at T times the cost), or run the whole sequence."
            )
        #: potentials, what causal gates have seen, the sum of the logits and the number of steps; may be saved
        self.state: State = {}

    @property
    def _network(self) -> Any:
        return self.model.door if isinstance(self.model, Deployed) else self.model

    @property
    def steps(self) -> int:
        """How many frames have come."""
        return int(self.state["steps"]) if "steps" in self.state else 0

    def __call__(self, x_t: Tensor) -> Tensor:
        """The next frame [B, C, H, W] -> the mean of all logits so far, [B, K]."""
        self.step(x_t)
        return self.state["sum of logits"] / self.steps

    @torch.no_grad()
    def step(self, x_t: Tensor) -> Tensor:
        """The next frame [B, C, H, W] -> its own logits [B, K], those that the whole sequence has at this step."""
        if x_t.ndim != 4:
            raise ValueError(f"A stream takes one frame [B, C, H, W] at a time, but got {list(x_t.shape)}.")
        self._network.as_sequence(x_t)  # refuses what does not fit
        logits = self._logits(x_t)
        total = self.state.get("sum of logits")
        self.state["sum of logits"] = logits if total is None else total + logits
        self.state["steps"] = torch.tensor(self.steps + 1)
        return logits

    def _logits(self, x_t: Tensor) -> Tensor:
        walk = Walk(self.state, self.steps)
        if isinstance(self.model, Deployed):
            return self.model.layers.step(x_t[None], walk)[0]
        return walk.links(self.model.chain, x_t[None])[0]

    def reset(self) -> None:
        """Back to rest."""
        self.state = {}

    def keep(self, rows: Tensor) -> None:
        """Go on with some samples of the batch alone: a mask [B], or indices."""
        for key, value in self.state.items():
            if value.ndim:
                self.state[key] = value[:, rows] if key.endswith(SEEN) else value[rows]


SEEN = "/seen"


class Walk:
    """One step through a network, which reads and writes a stream's state, under names that begin with `prefix`."""

    def __init__(self, state: State, t: int, prefix: str = "") -> None:
        self.state, self.t, self.prefix = state, t, prefix

    def links(self, chain: Sequence[Link], x: Tensor) -> Tensor:
        """The links of a chain on one step [1, B, ...]."""
        for link in chain:
            x = self.link(link, x)
        return x

    def link(self, link: Link, x: Tensor) -> Tensor:
        """One link on one step."""
        if isinstance(link, NeuronLink):
            return self.neuron(link, x)
        if isinstance(link, ResidualLink):
            main, shortcut = self.links(link.main, x), self.links(link.shortcut, x)
            return check_branches(link, main, shortcut) + main
        if isinstance(link, OtherLink):
            return self.other(link.name, link.module, x)
        return link(x)

    def below(self, name: str) -> Walk:
        """The same step inside a module."""
        return Walk(self.state, self.t, f"{self.prefix}{name}.")

    def neuron(self, link: NeuronLink, current: Tensor) -> Tensor:
        """A neuron, with its gate."""
        if link.gate is not None and link.gate.placement == "current":
            current = self.gated(link.name, link.gate, current, current)
        key = self.prefix + link.name
        spikes_t, self.state[key] = link.neuron.step(current[0], self.state.get(key))
        spikes = spikes_t[None]
        if link.gate is None or link.gate.placement == "current":
            return spikes
        return self.gated(link.name, link.gate, spikes, current if link.gate.source == "current" else spikes)

    def other(self, name: str, module: Any, x: Tensor) -> Tensor:
        """A module that is no neuron and no layer."""
        if isinstance(module, Attention):
            return self.gated(name, module, x, x)
        if hasattr(module, "step"):
            return module.step(x, self.below(name))
        if isinstance(module, TimeFolded) or getattr(module, "looks_at_steps", "all") == "own":
            return module(x)
        raise ValueError(
            f"{name} ({type(module).__name__}) is given whole sequences, and a stream cannot know whether it looks at "
            "other steps. If it treats every step alike, wrap it in saccade.nn.TimeFolded or say "
            'looks_at_steps = "own" in its class.'
        )

    def gated(self, name: str, gate: Attention, x: Tensor, source: Tensor) -> Tensor:
        """x times this step of the gate."""
        out = self.gate(name, gate, source) * x
        return out.relu() if gate.rectify else out

    def gate(self, name: str, gate: Attention, source: Tensor) -> Tensor:
        """This step of a gate, from this step of its source and what it has seen."""
        if gate.looks_at_steps == "own" and not gate.fixed_steps:
            return gate.compute_gate(source)
        T = gate.steps
        if self.t >= T:
            raise ValueError(
                f"{type(gate).__name__} at {name} has weights for {T} steps, which have all come. Call reset() for the "
                "next recording, or build the network for more steps."
            )
        seen = source.mean((3, 4), keepdim=True) if gate.needs == "means" else source
        if gate.looks_at_steps == "past":
            before = self.state.get(self.prefix + name + SEEN)
            seen = seen if before is None else torch.cat([before, seen])
            self.state[self.prefix + name + SEEN] = seen
        else:
            seen = torch.cat([seen.new_zeros(self.t, *seen.shape[1:]), seen])
        whole = torch.cat([seen, seen.new_zeros(T - len(seen), *seen.shape[1:])])
        found = gate.compute_gate(whole)
        return found if len(found) == 1 else found[self.t : self.t + 1]


class Window(Stream):
    """The last T frames, all of them run for every new one."""

    def __init__(self, model: Any) -> None:
        self.model, self.state = model, {}

    def _logits(self, x_t: Tensor) -> Tensor:
        T = self._network.steps
        before = self.state.get("frames" + SEEN)
        before = x_t.new_zeros(T, *x_t.shape) if before is None else before
        frames = torch.cat([before[1:], x_t[None]])
        self.state["frames" + SEEN] = frames
        return self.model(frames).mean(0)

    def __call__(self, x_t: Tensor) -> Tensor:
        """The next frame [B, C, H, W] -> the mean of the window's logits, [B, K]."""
        return self.step(x_t)
