"""The kinds of links that a network is a chain of.

A link is a step from one sequence [T, B, ...] to the next. `link(x)` runs it as its modules say, which is what every
engine has to equal. The fields beside `module` are what an engine looks at in order to do the same in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from saccade.nn.attention.contract import Attention


@dataclass(frozen=True, eq=False)
class Link:
    """One step of a chain.

    Args:
        name: of the module in its network, the prefix of its weights' keys.
        module: what runs the link, time folded where it has to be: [T, B, ...] -> [T, B, ...].
    """

    kind: ClassVar[str] = "module"

    name: str
    module: nn.Module

    def __call__(self, x: Tensor) -> Tensor:
        return self.module(x)

    def modules(self) -> Iterator[nn.Module]:
        """Every module that running the link calls."""
        return self.module.modules()


@dataclass(frozen=True, eq=False)
class OtherLink(Link):
    """Any other module, run as it is: nothing is known of what it does, so engines leave it alone."""

    kind = "other"


@dataclass(frozen=True, eq=False)
class LayerLink(Link):
    """A convolution or linear layer, with the batch norm that follows it."""

    kind = "layer"

    #: untyped, since torch types every attribute of a layer as a tensor or a module
    core: Any
    norm: Any = None


@dataclass(frozen=True, eq=False)
class NeuronLink(Link):
    """A spiking neuron, with the gate that multiplies its spikes or its current."""

    kind = "neuron"

    neuron: Any
    gate: Attention | None = None


@dataclass(frozen=True, eq=False)
class PoolLink(Link):
    """A pooling, over height and width or over neighbouring neurons."""

    kind = "pool"

    pool: Any


@dataclass(frozen=True, eq=False)
class ShapeLink(Link):
    """What changes or checks the shape and leaves the numbers: flattening, the size of frames."""

    kind = "shape"


@dataclass(frozen=True, eq=False)
class DropoutLink(Link):
    """What is there in training alone."""

    kind = "dropout"


@dataclass(frozen=True, eq=False)
class ResidualLink(Link):
    """Two chains that read the same sequence and whose results are added. An empty one hands it on as it is."""

    kind = "residual"

    main: Chain
    shortcut: Chain


def check_branches(link: ResidualLink, main: Tensor, shortcut: Tensor) -> Tensor:
    """The shortcut's result, or a ValueError if it cannot be added to the main branch's."""
    if main.shape != shortcut.shape:
        raise ValueError(
            f"The two branches of {link.name or type(link.module).__name__} do not fit: the main branch gives "
            f"{list(main.shape)}, the shortcut {list(shortcut.shape)}. Give the shortcut a layer that changes the "
            "shape likewise, such as a 1 x 1 convolution of the same stride."
        )
    return shortcut


@dataclass(frozen=True, eq=False)
class Span:
    """A container whose call runs the links `first` to `last` of a chain, one after the other."""

    name: str
    module: nn.Module
    first: int
    last: int


class Chain(tuple[Link, ...]):
    """Links in the order in which data meets them, and the containers that they come from, outermost first."""

    spans: tuple[Span, ...]

    def __new__(cls, links: Any = (), spans: tuple[Span, ...] = ()) -> Chain:
        self = super().__new__(cls, links)
        self.spans = spans
        return self

    def walk(self) -> Iterator[Link]:
        """All links, those inside residuals after their residual."""
        for link in self:
            yield link
            if isinstance(link, ResidualLink):
                yield from link.main.walk()
                yield from link.shortcut.walk()
