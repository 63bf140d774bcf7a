"""From a network's chain to its inference form: which layer is fed what, and what it is computed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from saccade.chain import Chain, DropoutLink, LayerLink, Link, NeuronLink, OtherLink, PoolLink, ResidualLink, ShapeLink
from saccade.chain.patterns import WINDOW, halving, is_dense_conv, is_lif
from saccade.engines.inference import integer
from saccade.engines.inference.fold import folded, is_foldable
from saccade.engines.inference.layers import FloatConv, Layer, OnFeatures, OnFrames, SlicedConv, pack_convs
from saccade.engines.inference.residual import InPlace, Sum
from saccade.engines.inference.site import Site, SpikeMean
from saccade.engines.inference.steps import AllSteps, AsItIs, Steps
from saccade.nn.attention import Attention
from saccade.nn.folding import TimeFolded
from saccade.nn.self_attention import FiredGate, TokenProduct
from saccade.nn.shape import SpaceMean
from saccade.tables import Rows

#: what a layer may be fed
REAL, SPIKES, COUNTS, SUMS = "real numbers", "spikes", "spikes per window", "sums of spikes"
WHOLE = (SPIKES, SUMS)
LARGEST_SUM = 255  # that a byte holds
SLICES = {"float": 0, "int8": 1, "fast": 2, "exact": 3}
WORDS = {1: "one int8 slice", 2: "two int8 slices", 3: "three int8 slices"}


class Row(NamedTuple):
    """One layer or gate: its name in the network, what it is fed, what it computes in, and why."""

    layer: str
    input: str
    precision: str
    reason: str


class Current(NamedTuple):
    """What is on its way between two links.

    Args:
        kind: what it consists of.
        still: one step may stand for all (a static image that no neuron has seen yet).
        owned: nobody else holds its memory, so that it may be overwritten.
        most: how many spikes a number may be the sum of.
    """

    kind: str
    still: bool
    owned: bool
    most: int = 1


@dataclass
class Assembly:
    """The choices for one network, and the rows that say what came of them."""

    steps: int
    dtype: torch.dtype
    precision: str
    rows: Rows[Row] = field(default_factory=Rows)
    gates: dict[str, Attention] = field(default_factory=dict)

    def assemble(self, chain: Chain) -> Steps:
        """All modules of a chain."""
        built, layer, now = self._links(chain, Current(REAL, still=True, owned=False), ())
        if layer is not None:
            built.append(layer)
        if now.still:
            built.append(AllSteps(self.steps))
        return built

    def _links(
        self, chain: Sequence[Link], now: Current, behind: Sequence[Link]
    ) -> tuple[Steps, Layer | None, Current]:
        """Modules, the last layer if nothing has read its currents yet, and what comes out, for the links `behind`."""
        built, layer = Steps(), None
        links = [link for link in chain if not isinstance(link, DropoutLink) and not _is_identity(link)]
        fused: Link | None = None
        for i, link in enumerate(links):
            following = [*links[i + 1 :], *behind]
            if link is fused:
                continue
            if layer is not None and not isinstance(link, NeuronLink):
                built.append(layer)
                layer = None
            if isinstance(link, LayerLink) and _has_form(link):
                layer = self.layer(link, now.kind)
                now = Current(REAL, now.still, owned=True)
            elif isinstance(link, NeuronLink) and is_lif(link.neuron):
                pool = links[i + 1] if links[i + 1 :] and _pooling(links[i + 1]) else None
                fused = pool if reads(links[i + 2 :]) else None
                kind = after(link, fused)
                built.append(self.site(link, fused, self._takes_bytes(following[fused is not None :], kind), layer))
                layer, now = None, Current(kind, still=False, owned=True)
            elif isinstance(link, ResidualLink):
                module, now = self.residual(link, now, following)
                built.append(module)
            elif isinstance(link, PoolLink) and isinstance(link.pool, SpaceMean) and now.kind in WHOLE:
                built.append(SpikeMean(self.dtype))
                now = Current(REAL, still=False, owned=True)
            else:
                now = self._as_it_is(link, built, now, layer)
                layer = None
        return built, layer, now

    def _as_it_is(self, link: Link, built: Steps, now: Current, layer: Layer | None) -> Current:
        """A link that has no inference form: its module itself, and what comes out of it."""
        if layer is not None:
            built.append(layer)
        alike = isinstance(link, PoolLink | ShapeLink | LayerLink) or isinstance(link.module, TimeFolded)
        if now.still and not alike:
            built.append(AllSteps(self.steps))
        built.append(AsItIs(link))
        gate = link.gate if isinstance(link, NeuronLink) else link.module
        if isinstance(gate, Attention):
            self.gates[link.name] = gate
        if isinstance(link, OtherLink | LayerLink | NeuronLink):
            self.rows.append(Row(link.name, now.kind, self._float(), _why_not(link)))
        return Current(_kept(link, now.kind), now.still and alike, owned=isinstance(link, PoolLink), most=now.most)

    def in_integers(self, kind: str) -> bool:
        """Whether a layer that is fed `kind` is computed in integers."""
        return self.precision != "float" and kind != REAL and integer.unavailable() is None

    def layer(self, link: LayerLink, kind: str, note: str = "") -> Layer:
        """A convolution with its batch norm, or a linear layer."""
        core = link.core
        weight, bias = folded(core, link.norm)
        if kind == COUNTS:
            weight = weight / WINDOW  # a power of 2: exact
        stride, padding = ((1, 1), (0, 0)) if isinstance(core, nn.Linear) else (core.stride, core.padding)
        weight = weight[..., None, None] if isinstance(core, nn.Linear) else weight
        whole = self.in_integers(kind)
        words = WORDS[SLICES[self.precision]] if whole else self._float()
        self.rows.append(Row(link.name, kind, words, note or self._why(kind)))
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

    def site(self, link: NeuronLink, pool: Link | None, as_bytes: bool, layer: Layer | None) -> Site:
        """A neuron with its gate and the pooling behind it."""
        gate = link.gate
        if gate is not None:
            pack_convs(gate, self.dtype)
            self.gates[link.name] = gate
            fed = "spikes" if gate.placement == "spikes" else "the current"
            note = f"gates {fed}: " + ("what follows is not binary" if fed == "spikes" else "spikes stay binary")
            fed_by = REAL if gate.placement == "current" or gate.source == "current" else SPIKES
            self.rows.append(Row(f"{link.name}.attention", fed_by, self._float(), note))
        window = pool.pool if isinstance(pool, PoolLink) else None
        return Site(link.name, link.neuron, gate, window, self.steps, as_bytes, layer)

    def residual(self, link: ResidualLink, now: Current, behind: Sequence[Link]) -> tuple[nn.Module, Current]:
        """Two branches, and what comes out; the last layer of the main one adds to the other's result piece by piece.

        Sums of two numbers of spikes are one, as long as a byte holds them.
        """
        entering = now._replace(kind=now.kind if now.kind in WHOLE else REAL, owned=False)
        inner, last, main = self._links(link.main, entering, behind)
        shortcut, layer, side = self._links(link.shortcut, entering, behind)
        if layer is not None:
            row = self.rows.pop()
            self.rows.append(row._replace(reason="the shortcut is analog"))
            shortcut.append(layer)
        other = shortcut if len(shortcut) else None
        if last is not None:
            return InPlace(inner, last, other, now.owned), Current(REAL, now.still, owned=True)
        most = main.most + side.most
        whole = layer is None and main.kind in WHOLE and side.kind in WHOLE and most <= LARGEST_SUM
        return Sum(inner, other, whole), Current(SUMS if whole else REAL, now.still, owned=True, most=most)

    def _takes_bytes(self, following: Sequence[Link], kind: str) -> bool:
        """Whether what comes next can read spikes held as bytes."""
        if following and isinstance(following[0], PoolLink) and isinstance(following[0].pool, SpaceMean):
            return True
        if following and isinstance(following[0], ResidualLink) and self.in_integers(kind):
            branches = following[0].main, following[0].shortcut
            return all(self._takes_bytes([*branch, *following[1:]], kind) for branch in branches)
        return reads(following) and self.in_integers(kind)


def reads(following: Sequence[Link]) -> bool:
    """Whether the next link that computes is a layer that has an inference form."""
    computing = [link for link in following if not isinstance(link, ShapeLink)]
    return bool(computing) and isinstance(computing[0], LayerLink) and _has_form(computing[0])


def _why_not(link: Link) -> str:
    """Why a link has no inference form."""
    if isinstance(link.module, TokenProduct):
        return "products of spikes are whole numbers, exact in floats"
    return "no inference form: runs as it is"


def _kept(link: Link, kind: str) -> str:
    """What comes out of a link without an inference form, for what goes in."""
    if isinstance(link, ShapeLink):
        return kind
    largest = isinstance(link, PoolLink) and type(link.pool) is nn.MaxPool2d and not link.pool.return_indices
    fired = isinstance(link.module, FiredGate) and kind == SPIKES
    return kind if fired or (largest and kind in WHOLE) else REAL


def after(link: NeuronLink, pool: Link | None) -> str:
    """What comes out of a neuron, with or without a gate, and the pooling behind it."""
    if link.gate is not None and link.gate.placement == "spikes":
        return REAL
    return COUNTS if _pooling(pool) == "average" else SPIKES


def _pooling(link: Link | None) -> str | None:
    return halving(link.pool) if isinstance(link, PoolLink) else None


def _has_form(link: LayerLink) -> bool:
    known = isinstance(link.core, nn.Linear) or is_dense_conv(link.core)
    return known and (link.norm is None or is_foldable(link.norm))


def _is_identity(link: Link) -> bool:
    return isinstance(link.module, nn.Identity)
