"""From a network's chain to its inference form: which layer is fed what, and what it is computed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from saccade.deployment import integer
from saccade.deployment.block import Block
from saccade.deployment.chains import Chain, Flat, SpaceMean
from saccade.deployment.fold import folded
from saccade.deployment.layers import FloatConv, Layer, OnFeatures, OnFrames, SlicedConv, is_plain, pack_convs
from saccade.deployment.pooling import WINDOW, is_halving
from saccade.deployment.site import Site, SpikeMean
from saccade.deployment.summary import Row, Summary
from saccade.models.blocks import ConvNorm, SequenceDropout
from saccade.models.msresnet import MSBlock
from saccade.nn.attention import GatedNeuron, NoAttention
from saccade.nn.folding import TimeFolded
from saccade.nn.neuron import IF, LIF, PLIF

#: what a layer may be fed
REAL, SPIKES, COUNTS = "real numbers", "spikes", "spikes per window"
SLICES = {"float": 0, "int8": 1, "fast": 2, "exact": 3}
LAYERS = (ConvNorm, nn.Conv2d, nn.Linear)
WORDS = {1: "one int8 slice", 2: "two int8 slices", 3: "three int8 slices"}


@dataclass
class Assembly:
    """The choices for one network, and the rows that say what came of them."""

    steps: int
    dtype: torch.dtype
    precision: str
    rows: Summary = field(default_factory=Summary)

    def in_integers(self, kind: str) -> bool:
        """Whether a layer that is fed `kind` is computed in integers."""
        return self.precision != "float" and kind in (SPIKES, COUNTS) and integer.unavailable() is None

    def layer(self, name: str, source: nn.Module, kind: str, note: str = "") -> Layer:
        """A convolution with its batch norm, or a linear layer."""
        core: Any = source.conv if isinstance(source, ConvNorm) else source
        if isinstance(core, nn.Conv2d) and not is_plain(core):
            raise ValueError(
                f"deploy computes dense convolutions with zeros around the frame and no dilation, but {name} is {core}."
            )
        norm: Any = source.norm if isinstance(source, ConvNorm) else None
        weight, bias = folded(core, norm)
        if kind == COUNTS:
            weight = weight / WINDOW  # a power of 2: exact
        stride, padding = ((1, 1), (0, 0)) if isinstance(core, nn.Linear) else (core.stride, core.padding)
        weight = weight[..., None, None] if isinstance(core, nn.Linear) else weight
        whole = self.in_integers(kind)
        words = WORDS[SLICES[self.precision]] if whole else self._float()
        self.rows.append(Row(name, kind, words, note or self._why(kind)))
        conv: FloatConv | SlicedConv
        if whole:
            conv = SlicedConv(weight, bias, stride, padding, SLICES[self.precision], binary=kind == SPIKES)
        else:
            conv = FloatConv(weight, bias, stride, padding, self.dtype)
        return OnFeatures(conv) if isinstance(core, nn.Linear) else OnFrames(conv)

    def _float(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def _why(self, kind: str) -> str:
        if self.precision == "float":
            return "asked for"
        if kind == REAL:
            return "its input is not binary"
        if integer.unavailable() is not None:
            return f"no integers here: {integer.unavailable()}"
        return "its input is binary" if kind == SPIKES else "its input is a number of spikes"

    def site(self, name: str, source: nn.Module, pool: nn.Module | None, as_bytes: bool, layer: Layer | None) -> Site:
        """A neuron with its gate and the pooling behind it."""
        neuron: Any = source.neuron if isinstance(source, GatedNeuron) else source
        attention: Any = source.attention if isinstance(source, GatedNeuron) else None
        if isinstance(attention, NoAttention):
            attention = None
        if type(neuron) not in (LIF, PLIF, IF):
            raise ValueError(f"deploy computes LIF, PLIF and IF neurons, but {name} is a {type(neuron).__name__}.")
        if attention is not None:
            pack_convs(attention, self.dtype)
            fed = "spikes" if attention.placement == "spikes" else "the current"
            note = f"gates {fed}: " + ("what follows is not binary" if fed == "spikes" else "spikes stay binary")
            fed_by = REAL if attention.placement == "current" or attention.source == "current" else SPIKES
            self.rows.append(Row(f"{name}.attention", fed_by, self._float(), note))
        return Site(neuron, attention, pool, self.steps, as_bytes, layer)

    def block(self, name: str, source: MSBlock) -> Block:
        """A membrane-shortcut block."""
        shortcut = None
        site1 = self.site(f"{name}.neuron1", source.neuron1, None, self.in_integers(SPIKES), None)
        conv1 = self.layer(f"{name}.conv1", source.conv1, SPIKES)
        gated = after(source.neuron2, None) == REAL
        site2 = self.site(f"{name}.neuron2", source.neuron2, None, self.in_integers(SPIKES) and not gated, conv1)
        conv2 = self.layer(f"{name}.conv2", source.conv2, REAL if gated else SPIKES)
        if not isinstance(source.downsample, nn.Identity):
            shortcut = self.layer(f"{name}.downsample", source.downsample, REAL, "the shortcut is analog")
        return Block(site1, site2, conv2, shortcut)

    def assemble(self, chain: Chain) -> nn.Sequential:
        """All modules of a chain."""
        kind, layer, built = REAL, None, nn.Sequential()
        links = [(name, m) for name, m in chain if not isinstance(m, nn.Identity | SequenceDropout | nn.Dropout)]
        fused: nn.Module | None = None
        for i, (name, module) in enumerate(links):
            following = [m for _, m in links[i + 1 :]]
            if module is fused:
                fused = None
            elif isinstance(module, LAYERS):
                layer = self.layer(name, module, kind)
                kind = REAL
                if not (following and isinstance(following[0], LIF | GatedNeuron)):
                    built.append(layer)
                    layer = None
            elif isinstance(module, LIF | GatedNeuron):
                fused = following[0] if following and is_halving(following[0]) and reads(following[1:]) else None
                kind = after(module, fused)
                as_bytes = self._takes_bytes(following, kind)
                built.append(self.site(name, module, fused, as_bytes, layer))
                layer = None
            elif isinstance(module, MSBlock):
                built.append(self.block(name, module))
            elif isinstance(module, SpaceMean) and kind == SPIKES:
                built.append(SpikeMean(self.dtype))
                kind = REAL
            else:
                built.append(TimeFolded(module) if is_halving(module) else module)
                kind = kind if isinstance(module, Flat) else REAL
        return built

    def _takes_bytes(self, following: list[nn.Module], kind: str) -> bool:
        """Whether what comes next can read spikes held as bytes."""
        if following and isinstance(following[0], SpaceMean):
            return True
        return reads(following) and self.in_integers(kind)


def reads(following: list[nn.Module]) -> bool:
    """Whether the next module that computes is a layer."""
    computing = [m for m in following if not isinstance(m, Flat)]
    return bool(computing) and isinstance(computing[0], LAYERS)


def after(neuron: nn.Module, pool: nn.Module | None) -> str:
    """What comes out of a neuron, with or without a gate, and the pooling behind it."""
    gate = neuron.attention if isinstance(neuron, GatedNeuron) else None
    if gate is not None and not isinstance(gate, NoAttention) and gate.placement == "spikes":
        return REAL
    return COUNTS if isinstance(pool, nn.AvgPool2d) else SPIKES
