"""What all networks share: the door that takes images or sequences, and the slots for attention."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from saccade.chain import Chain, LayerLink, NeuronLink, ResidualLink
from saccade.engines import Chained
from saccade.nn.attention import Attention, GatedNeuron, attention_class, attention_options, create_attention
from saccade.nn.attention.contract import check_positive
from saccade.nn.self_attention import TokenProduct


class SpikingNetwork(nn.Module):
    """Base of all networks: `Classifier`s, and generators such as `FSVAE`.

    A static image is the same current at every step. Subclasses build their layers from `self.scaled(...)` and
    `self.gated(...)`.

    Args:
        num_classes: K.
        steps: T.
        in_channels: C of the input: 3 for colour images, 2 for events (polarities).
        input_size: (H, W) of the input. Networks that pool globally take any size and need not be told.
        width: factor on all channel counts.
        attention: a name of `list_attention()`, placed where the network's paper places its own.
        attention_options: the attention's own options, e.g. {"kernel_time": 2}.
        placement: what the gate multiplies, "spikes" or "current" (before the neuron: all spikes stay binary); None:
            what the attention's paper multiplies.
        backend: LIF kernel, "auto" or by name.
    """

    #: what the network is for
    kind: ClassVar[str]
    #: released key -> our key, as ordered (pattern, replacement) pairs; see `models.official`
    official_keys: tuple[tuple[str, str], ...] = ()
    #: TCJA's published kernel widths in this network, for gates that are put elsewhere than published
    tcja_kernels: Mapping[str, int] = {}
    #: whether the network itself pools larger frames to its `input_size`, as a part of what was published
    pools_input: ClassVar[bool] = False
    #: whether it averages over height and width before its last layer, and so takes frames of any size
    pools_globally: ClassVar[bool] = False

    def __init__(
        self,
        *,
        num_classes: int = 10,
        steps: int = 4,
        in_channels: int = 3,
        input_size: tuple[int, int] | None = None,
        width: float = 1.0,
        attention: str = "none",
        attention_options: Mapping[str, Any] | None = None,
        placement: str | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, num_classes=num_classes, steps=steps, in_channels=in_channels)
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
            raise ValueError(f"width is a factor on all channel counts and must be a positive number, not {width!r}.")
        self.num_classes = num_classes
        self.steps = steps
        self.in_channels = in_channels
        if input_size is not None and not _is_size(input_size):
            raise ValueError(f"input_size is (H, W), two whole numbers of pixels, not {input_size!r}.")
        self.input_size = input_size
        self.width = width
        self.backend = backend
        self.attention = attention
        self._attention_options = {"placement": placement, **(attention_options or {})}
        #: what `create_model` was called with, for `recreate_model`; goes on the card of saved weights
        self.created_with: dict[str, Any] = {}

    def scaled(self, channels: int) -> int:
        """`channels` times the width factor, rounded, at least 1."""
        return max(1, round(channels * self.width))

    def gated(self, channels: int, neuron: nn.Module, tcja_kernels: Mapping[str, int] | None = None) -> GatedNeuron:
        """A neuron with this network's attention.

        `tcja_kernels` are the published kernel widths of TCJA at this place; the other modules keep their own
        defaults, and the user's options win.
        """
        published = kernels_for(self.attention, tcja_kernels or {})
        options = {**published, **self._attention_options}
        return GatedNeuron(neuron, create_attention(self.attention, channels, self.steps, **options))

    def ungated(self, channels: int, neuron: nn.Module) -> GatedNeuron:
        """The same place without a gate, so that names and keys stay the same."""
        return GatedNeuron(neuron, create_attention("none", channels, self.steps))

    def as_sequence(self, x: Tensor) -> Tensor:
        """Check the layout and show a static image at every step: -> [T, B, C, H, W]."""
        name, shape = type(self).__name__, list(x.shape)
        if x.ndim not in (4, 5):
            raise ValueError(f"{name} takes images [B, C, H, W] or sequences [T, B, C, H, W], but got {shape}.")
        if x.shape[-3] != self.in_channels:
            raise ValueError(
                f"{name} was built for in_channels={self.in_channels} but the input {shape} has "
                f"{x.shape[-3]} channels. Build it with in_channels={x.shape[-3]}, or check the order of the axes."
            )
        if x.ndim == 4:
            return x.expand(self.steps, *x.shape)
        if x.shape[0] != self.steps:
            T = x.shape[0]
            raise ValueError(
                f"{name} was built for steps={self.steps} but the input has {T} steps ([T, B, C, H, W] = {shape}). "
                f"Build it with steps={T}, call resize_steps({T}), or put time first if the batch came first."
            )
        return x

    def resize_steps(self, steps: int) -> SpikingNetwork:
        """Change T in place, in every attention module; returns self. See `Attention.resize_steps`."""
        for attention in self.attention_modules().values():
            attention.resize_steps(steps)
        self.steps = steps
        self.created_with["resized_steps"] = steps
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute blocks again in backward, where the network can; ValueError where it cannot and is asked to."""
        if enable:
            raise ValueError(
                f"{type(self).__name__} has no form whose blocks are computed again in backward, only the networks "
                "that classify have. Use a smaller batch to save memory."
            )

    def attention_modules(self) -> dict[str, Attention]:
        """The gates by name, in the order in which they were built, `none` included.

        A gate of a `GatedNeuron` has that one's name, one that stands by itself its own.
        """
        found: dict[str, Attention] = {}
        inside: set[nn.Module] = set()
        for name, module in self.named_modules():
            gate = module.attention if isinstance(module, GatedNeuron) else module
            if isinstance(gate, Attention) and gate not in inside:
                found[name] = gate
                inside.update(gate.modules())
        return found


def _is_size(size: Any) -> bool:
    return isinstance(size, Sequence) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)


def kernels_for(attention: str, tcja_kernels: Mapping[str, int]) -> dict[str, int]:
    """Those of TCJA's kernel widths that an attention takes: none, unless it is one of TCJA's own modules."""
    if attention_class(attention).family != "tcja":
        return {}
    known = attention_options(attention)
    return {name: width for name, width in tcja_kernels.items() if name in known}


class Classifier(SpikingNetwork, Chained):
    """Base of the networks that classify: [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].

    Subclasses build their layers in `__init__` and say their order in `links()`; everything that runs or describes a
    network (training engines, deployment, checkpointing, streams, exports) reads that.
    """

    kind = "classifier"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """In training, keep only the input of each block for backward and compute the block again there.

        Less memory for more time; outputs, gradients, running statistics and random numbers stay the same. A block that
        a hook waits for is not computed again, nor is any under torch.compile, which chooses itself what it keeps.
        """
        self.grad_checkpointing = enable

    def gate_places(self) -> dict[str, int]:
        """Where a gate can stand: the neurons that fire frames, by name in the order of the network, and their C."""
        return dict(_places(self.chain, self.in_channels))

    def put_gates(self, attention: str, at: str, placement: str | None = None, **options: Any) -> Classifier:
        """Put gates where `at` says, in place of those that stand there; returns self.

        Args:
            attention: a name of `list_attention()`.
            at: places, separated by commas: a name or a pattern of `gate_places()` ("stages.*.neuron2", "neurons.5"),
                "all", "first", "last", or "first:N" and "last:N".
            placement: what the gates multiply; None: what their paper multiplies.
            **options: the attention's own; TCJA's kernel widths are the network's published ones unless given.

        Raises:
            ValueError: a place that the network does not have, an unknown attention or option.
        """
        places, standing = self.gate_places(), self._standing_gates()
        options = {**kernels_for(attention, self.tcja_kernels), "placement": placement, **options}
        for name in chosen_places(at, list(places)):
            neuron: Any = self.get_submodule(name)
            gate = create_attention(attention, places[name], self.steps, **options)
            if isinstance(neuron, GatedNeuron):
                neuron.attention = gate
            elif name in standing:
                self.set_submodule(standing[name], gate)
            else:
                self.set_submodule(name, GatedNeuron(neuron, gate))
        self.attention = attention
        return self

    def _standing_gates(self) -> dict[str, str]:
        """The gates that stand behind their neuron as modules of their own: the neuron's name and the gate's."""
        names = {gate: name for name, gate in self.attention_modules().items()}
        neurons = [link for link in self.chain.walk() if isinstance(link, NeuronLink)]
        joined = {link.name: link.module for link in neurons if link.module is not self.get_submodule(link.name)}
        return {name: names[m.attention] for name, m in joined.items() if isinstance(m, GatedNeuron)}


def _places(chain: Chain, channels: int) -> Iterator[tuple[str, int]]:
    """The neurons on frames, and the channels that they fire."""
    for link in chain:
        if isinstance(link, LayerLink):
            if isinstance(link.core, nn.Linear):
                return
            channels = link.core.out_channels
        elif isinstance(link, NeuronLink):
            yield link.name, channels
        elif isinstance(link.module, TokenProduct):
            channels //= link.module.parts
        elif isinstance(link, ResidualLink):
            yield from _places(link.main, channels)
            yield from _places(link.shortcut, channels)
            cores = [inner.core for inner in (*link.main, *link.shortcut) if isinstance(inner, LayerLink)]
            channels = cores[-1].out_channels if cores else channels


def chosen_places(at: str, places: Sequence[str]) -> list[str]:
    """The places that words choose, in the order of the network; see `Classifier.put_gates`."""
    chosen: set[str] = set()
    for word in (part.strip() for part in at.split(",")):
        counted = re.fullmatch(r"(first|last)(?::(\d+))?", word)
        if counted:
            count = int(counted[2] or 1)
            found = list(places[:count] if counted[1] == "first" else places[len(places) - min(count, len(places)) :])
        else:
            found = list(places) if word == "all" else fnmatch.filter(places, word)
        if not found:
            raise ValueError(
                f"No neuron of the network is called {word!r}, so no gate can stand there. Places: "
                f"{', '.join(places)}; "
                'or "all", "first", "last", "first:N", "last:N", or a pattern such as "stages.*".'
            )
        chosen.update(found)
    return [name for name in places if name in chosen]
