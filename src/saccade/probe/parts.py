"""The parts of a network that a summary lists: the links of its chain, their gates, and what opaque modules hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from saccade.chain import Chain, LayerLink, Link, NeuronLink, OtherLink, PoolLink, ResidualLink, chain_of
from saccade.chain.spikingjelly import Kept
from saccade.engines import Chained
from saccade.nn.attention import Attention, GatedNeuron, NoAttention
from saccade.nn.folding import TimeFolded
from saccade.nn.neuron import Neuron

#: what modules of these packages do is known
KNOWN = ("saccade.", "torch.nn.")
#: modules that only hold others
HOLDERS = (nn.ModuleList, nn.ModuleDict, GatedNeuron)


@dataclass(frozen=True)
class Part:
    """A layer of a network.

    Args:
        name: of the module in its network.
        kind: what it is, in words.
        module: what computes its output.
        owned: the modules whose parameters and operations are its own, those that parts after it own left out.
        inside: name of the residual or module that it lies in.
        depth: in how many it lies.
        opaque: why nothing is known of what it does; "": it is known.
    """

    name: str
    kind: str
    module: nn.Module
    owned: tuple[nn.Module, ...]
    inside: str
    depth: int
    opaque: str = ""


def parts_of(model: nn.Module) -> list[Part]:
    """The parts in the order of the network's links; a network that says none, in the order of its modules.

    A module that is called in several places is listed once, at the first.
    """
    walk = _Walk(model)
    chain = model.chain if isinstance(model, Chained) else chain_of(model.named_children())
    found: dict[nn.Module, Part] = {}
    for part in walk.chain(chain, "", 0):
        found.setdefault(part.module, part)
    return list(found.values())


class _Walk:
    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.names = {module: name for name, module in self.modules.items()}

    def chain(self, chain: Chain, inside: str, depth: int) -> Iterator[Part]:
        for link in chain:
            yield from self.link(link, inside, depth)

    def link(self, link: Link, inside: str, depth: int) -> Iterator[Part]:
        at = (inside, depth)
        if isinstance(link, LayerLink):
            owned = (link.core,) if link.norm is None else (link.core, link.norm)
            yield Part(link.name, _layer(link), owned[-1], owned, *at)
        elif isinstance(link, NeuronLink):
            yield self._named(link.neuron, link.name, *at)
            if link.gate is not None:
                yield self._named(link.gate, link.name, *at)
        elif isinstance(link, ResidualLink):
            yield self._named(link.module, link.name, *at)
            yield from self.chain(link.main, link.name, depth + 1)
            yield from self.chain(link.shortcut, link.name, depth + 1)
        elif isinstance(link, OtherLink):
            yield from self._other(link, *at)
        elif not isinstance(_unfolded(link.module), nn.Identity):
            yield self._named(link.pool if isinstance(link, PoolLink) else _unfolded(link.module), link.name, *at)

    def _other(self, link: OtherLink, inside: str, depth: int) -> Iterator[Part]:
        module = self.modules.get(link.name, _unfolded(link.module))
        if isinstance(module, NoAttention):
            return
        children = chain_of((f"{link.name}.{key}", child) for key, child in module.named_children())
        if isinstance(module, HOLDERS):
            yield from self.chain(children, inside, depth)
            return
        yield self._named(module, link.name, inside, depth)
        if not isinstance(module, Attention | Kept):
            yield from self.chain(children, link.name, depth + 1)

    def _named(self, module: nn.Module, name: str, inside: str, depth: int) -> Part:
        name = self.names.get(module, name)
        return Part(name, type(module).__name__, module, (module,), inside, depth, _opaque(module))


def _layer(link: LayerLink) -> str:
    kernel = getattr(link.core, "kernel_size", None)
    size = "" if kernel is None else " " + "x".join(map(str, kernel))
    return f"{type(link.core).__name__}{size}{'' if link.norm is None else ' BN'}"


def _unfolded(module: nn.Module) -> nn.Module:
    return module[0] if isinstance(module, TimeFolded) and len(module) == 1 else module


def _opaque(module: nn.Module) -> str:
    if isinstance(module, Kept):
        return f"kept as it is, {module.reason}"
    if isinstance(module, Neuron | Attention | Chained) or f"{type(module).__module__}.".startswith(KNOWN):
        return ""
    return "no module of saccade or torch. The calls of torch that it makes are counted"
