"""What follows what in each network: its modules as one chain, which is all that deployment needs to know of it.

A chain names modules of the network in the order in which its `forward_sequence` applies them. For a network of your
own, register a function that gives its chain:

    @register_chain(MyNetwork)
    def my_chain(model):
        return [("stem", model.stem), ("neuron", model.neuron), ("mean", SpaceMean()), ("head", model.head)]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from saccade.deployment.pooling import pool_frames
from saccade.models.blocks import check_size
from saccade.models.msresnet import MSBlock, MSResNet
from saccade.models.network import SpikingNetwork
from saccade.models.vgg import VGG, VGGSNN, VGGSNNTET
from saccade.models.voting import PooledConvNet

Chain = list[tuple[str, nn.Module]]
F = TypeVar("F", bound=Callable[[Any], Chain])

_CHAINS: dict[type[SpikingNetwork], Callable[[Any], Chain]] = {}


class SpaceMean(nn.Module):
    """Mean over height and width: [T, B, C, H, W] -> [T, B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(3, 4))


class Flat(nn.Module):
    """[T, B, C, H, W] -> [T, B, C*H*W]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2)


class FrameSize(nn.Module):
    """Frames of the size that the network was built for: others are pooled to it, or refused."""

    def __init__(self, name: str, size: tuple[int, int], resizes: bool) -> None:
        super().__init__()
        self.name, self.size, self.resizes = name, size, resizes

    def forward(self, x: Tensor) -> Tensor:
        if not self.resizes:
            check_size(self.name, x, self.size)
        elif tuple(x.shape[-2:]) != self.size:
            return pool_frames(x, nn.AdaptiveAvgPool2d(self.size))
        return x


def register_chain(network: type[SpikingNetwork]) -> Callable[[F], F]:
    """Decorator: say how a network class, and those that inherit its forward_sequence, is chained."""

    def register(chain: F) -> F:
        _CHAINS[network] = chain
        return chain

    return register


def chain_of(model: nn.Module) -> Chain:
    """The network's modules in order; ValueError if nobody has said what the order is."""
    for cls in type(model).__mro__:
        if cls in _CHAINS:
            return _CHAINS[cls](model)
        if {"forward", "forward_sequence"} & set(vars(cls)):
            break  # it may do anything: the chain of a class below is not its own
    known = ", ".join(sorted(cls.__name__ for cls in _CHAINS))
    raise ValueError(
        f"deploy does not know what follows what in {type(model).__name__}. It knows {known} and networks that inherit "
        "forward_sequence from them; tell it about yours with @saccade.deployment.register_chain, or use the network "
        "as it is."
    )


@register_chain(MSResNet)
def _msresnet(model: MSResNet) -> Chain:
    blocks = [(f"stages.{name}", m) for name, m in model.stages.named_modules() if isinstance(m, MSBlock)]
    ends = [("neuron", model.neuron), ("mean", SpaceMean()), ("head", model.head)]
    return [("stem", model.stem), ("stem_neuron", model.stem_neuron), *blocks, *ends]


@register_chain(VGG)
@register_chain(VGGSNN)
@register_chain(VGGSNNTET)
def _vgg(model: VGG) -> Chain:
    chain: Chain = [("size", FrameSize(type(model).__name__, model.frame_size, isinstance(model, VGGSNN)))]
    for i, (conv, neuron) in enumerate(zip(model.convs, model.neurons, strict=True)):
        chain += [(f"convs.{i}", conv), (f"neurons.{i}", neuron), *([("pool", model.pool[0])] if i % 2 else [])]
    return [*chain, ("flat", Flat()), ("head", model.head)]


@register_chain(PooledConvNet)
def _pooled(model: PooledConvNet) -> Chain:
    chain: Chain = [("size", FrameSize(type(model).__name__, model.frame_size, resizes=False))]
    for i, (conv, neuron) in enumerate(zip(model.convs, model.neurons, strict=True)):
        chain += [(f"convs.{i}", conv), (f"neurons.{i}", neuron), ("pool", model.pool[0])]
    return [*chain, ("flat", Flat()), *((f"classifier.{name}", m) for name, m in model.classifier.named_children())]
