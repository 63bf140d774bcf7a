"""From named modules, in the order in which data meets them, to a chain of links.

    chain_of([("conv", nn.Conv2d(2, 8, 3)), ("norm", nn.BatchNorm2d(8)), ("neuron", LIF()), ("gate", attention)])

Modules of torch know nothing of time, so time is folded into the batch around them; all others are given the sequence
[T, B, ...] itself. Containers that call their children one after the other (`nn.Sequential`, `TimeFolded`) are looked
into. A batch norm joins the layer before it, a gate the neuron that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd

from saccade.chain.links import (
    Chain,
    DropoutLink,
    LayerLink,
    Link,
    NeuronLink,
    OtherLink,
    PoolLink,
    ResidualLink,
    ShapeLink,
    Span,
)
from saccade.nn.attention.contract import Attention, GatedNeuron, NoAttention
from saccade.nn.folding import TimeFolded
from saccade.nn.neuron import Neuron

Named = tuple[str, nn.Module]

LAYERS = (_ConvNd, nn.Linear)
POOLS = (_MaxPoolNd, _AvgPoolNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)
SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)


class _Leaf(NamedTuple):
    """A module that is no container, and the containers around it, outermost first, by their place in a list."""

    name: str
    module: nn.Module
    inside: tuple[int, ...]


def chain_of(modules: Iterable[Named]) -> Chain:
    """The chain of modules that are called one after the other. Names are those in their network."""
    containers: list[Named] = []
    leaves = list(_leaves(modules, containers, ()))
    links: list[Link] = []
    sources: list[list[_Leaf]] = []
    for leaf in leaves:
        joined = _join(links[-1], leaf) if links else None
        if joined is None:
            links.append(_link(leaf.name, leaf.module))
            sources.append([leaf])
        else:
            links[-1] = joined
            sources[-1].append(leaf)
    return _within_containers(links, sources, containers)


def members(module: nn.Module) -> list[Named]:
    """The children by name; one that has several names, because it is called several times, under each of them."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def _leaves(modules: Iterable[Named], containers: list[Named], inside: tuple[int, ...]) -> Iterator[_Leaf]:
    for name, module in modules:
        if type(module) is nn.Sequential or (isinstance(module, TimeFolded) and _only_calls_children(module)):
            containers.append((name, module))
            children = ((_below(name, key), child) for key, child in members(module))
            yield from _leaves(children, containers, (*inside, len(containers) - 1))
        else:
            yield _Leaf(name, module, inside)


def _only_calls_children(module: nn.Module) -> bool:
    return type(module).forward is TimeFolded.forward and all(_is_timeless(child) for child in module.children())


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _link(name: str, module: Any) -> Link:
    """The link of one module."""
    if hasattr(module, "branches"):
        main, shortcut = (chain_of((_below(name, key), part) for key, part in branch) for branch in module.branches())
        return ResidualLink(name, module, main, shortcut)
    if type(module) is GatedNeuron and isinstance(module.neuron, Neuron):
        return NeuronLink(name, module, module.neuron, _real(module.attention))
    if isinstance(module, Neuron):
        return NeuronLink(name, module, module)
    run = TimeFolded(module) if _is_timeless(module) else module
    if isinstance(module, LAYERS):
        return LayerLink(name, run, module)
    kind = getattr(module, "link", None)
    if isinstance(module, POOLS) or kind == "pool":
        return PoolLink(name, run, module)
    if isinstance(module, SHAPES) or kind == "shape":
        return ShapeLink(name, run)
    if isinstance(module, _DropoutNd) or kind == "dropout":
        return DropoutLink(name, run)
    return OtherLink(name, run)


def _join(link: Link, leaf: _Leaf) -> Link | None:
    """The link before with this module in it, where the two are one."""
    module: Any = leaf.module
    if isinstance(link, LayerLink) and link.norm is None and isinstance(module, _BatchNorm):
        return LayerLink(link.name, TimeFolded(link.core, module), link.core, module)
    if isinstance(link, NeuronLink) and link.module is link.neuron and isinstance(module, Attention):
        return NeuronLink(link.name, GatedNeuron(link.neuron, module), link.neuron, _real(module))
    return None


def _real(gate: Attention) -> Attention | None:
    """The gate, unless it is the one that is 1 everywhere."""
    return None if type(gate) is NoAttention else gate


def _is_timeless(module: nn.Module) -> bool:
    """Whether a module works on [N, ...] and must not see time: torch's own, and layers and norms derived from them."""
    own = type(module).__module__.startswith("torch.nn.") and not isinstance(module, nn.Identity)
    return own or isinstance(module, (*LAYERS, _BatchNorm))


def _within_containers(links: list[Link], sources: list[list[_Leaf]], containers: list[Named]) -> Chain:
    """Give a container that stands for exactly one link that link's place, and note the others as spans."""
    spans = []
    for number, (name, module) in enumerate(containers):
        inside = [i for i, leaves in enumerate(sources) if any(number in leaf.inside for leaf in leaves)]
        if not inside:
            continue
        first, last = inside[0], inside[-1] + 1
        whole = all(number in leaf.inside for leaf in sources[first])
        if last - first == 1 and whole and isinstance(module, TimeFolded):
            links[first] = _renamed(links[first], name, module)
        else:
            spans.append(Span(name, module, first, last))
    return Chain(links, tuple(spans))


def _renamed(link: Link, name: str, module: nn.Module) -> Link:
    return type(link)(**{**vars(link), "name": name, "module": module})
