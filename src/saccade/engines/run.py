"""Running a chain: every stretch of it by the fastest engine that takes it, the numbers always those of the modules.

An engine is a module with

    name                        what `explain` prints
    refuses(x)                  why it can take nothing with this input, or None
    objection(link)             why it does not take a link, or None
    reach(links, first, x)      the end of the stretch that it takes from `first` on, or `first`
    run(links, x, recompute)    that stretch

and knows kinds of links, no network. What no engine takes runs as its modules say: the reference, the definition of
truth. So a hook, a foreign module or an input of another type sends that stretch to the reference, not the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import ModuleType

from torch import Tensor, nn

from saccade.chain import Chain, LayerLink, Link, NeuronLink, PoolLink, ResidualLink, Span, check_branches
from saccade.chain.patterns import has_hooks
from saccade.engines import cpu, triton
from saccade.engines.recompute import recomputed
from saccade.engines.record import note

ENGINES: tuple[ModuleType, ...] = (cpu, triton)


def run(chain: Chain, x: Tensor, checkpointing: bool = False) -> Tensor:
    """The chain of a network: [T, B, ...] -> [T, B, ...].

    Args:
        checkpointing: in training, keep only the input of every unit (see `units`) for backward.
    """
    hooked = [span for span in chain.spans if has_hooks(span.module)]
    if hooked:
        return _run_hooked(chain, hooked[0], x, checkpointing)
    if not checkpointing:
        return run_links(chain, x)
    for unit, again in units(chain):
        if again:
            x = recomputed(partial(run_links, unit, recompute=False), x, *(link.module for link in unit))
        else:
            x = run_links(unit, x)
    return x


def run_links(links: Sequence[Link], x: Tensor, recompute: bool = True) -> Tensor:
    """Links one after the other, each stretch by its engine."""
    i = 0
    while i < len(links):
        engine, end = choose(links, i, x)
        if engine is None:
            note("reference", links[i : i + 1], x)
            x = links[i](x)
        else:
            note(engine.name, links[i:end], x)
            x = engine.run(links[i:end], x, recompute)
        i = end
    return x


def choose(links: Sequence[Link], first: int, x: Tensor) -> tuple[ModuleType | None, int]:
    """The engine for the links from `first` on, None for the reference, and the end of its stretch."""
    for engine in ENGINES:
        end = engine.reach(links, first, x)
        if end > first:
            return engine, end
    return None, first + 1


def run_residual(link: ResidualLink, x: Tensor, checkpointing: bool = False) -> Tensor:
    """A residual whose module has been called: shortcut(x) + main(x)."""
    if checkpointing:
        parts = [inner.module for inner in (*link.main, *link.shortcut)]
        return recomputed(partial(_residual, link, recompute=False), x, *parts)
    return _residual(link, x, recompute=True)


def _residual(link: ResidualLink, x: Tensor, recompute: bool) -> Tensor:
    fused = cpu.residual(link, x, recompute)
    if fused is not None:
        return fused
    shortcut = run_links(link.shortcut, x, recompute)
    main = run_links(link.main, x, recompute)
    return check_branches(link, main, shortcut) + main


def units(chain: Sequence[Link]) -> list[tuple[list[Link], bool]]:
    """The chain in pieces, and which of them are worth computing again.

    A residual is such a piece, and so is a convolution with the neuron and the pooling behind it: what is kept then was
    pooled, and is smaller than what the next convolution makes of it.
    """
    pieces: list[tuple[list[Link], bool]] = []
    for link in chain:
        is_conv = isinstance(link, LayerLink) and not isinstance(link.core, nn.Linear)
        starts = is_conv or isinstance(link, ResidualLink)
        joins = isinstance(link, NeuronLink | PoolLink) and pieces and isinstance(pieces[-1][0][0], LayerLink)
        if starts or not pieces:
            pieces.append(([link], starts))
        elif joins or not pieces[-1][1]:
            pieces[-1][0].append(link)
        else:
            pieces.append(([link], False))
    return pieces


def _run_hooked(chain: Chain, span: Span, x: Tensor, checkpointing: bool) -> Tensor:
    """The chain around a container for which a hook waits: the container is called, and runs its links."""

    def part(first: int, last: int) -> Chain:
        spans = [s for s in chain.spans if s is not span and first <= s.first and s.last <= last]
        return Chain(chain[first:last], tuple(Span(s.name, s.module, s.first - first, s.last - first) for s in spans))

    x = run(part(0, span.first), x, checkpointing)
    inside, container = part(span.first, span.last), span.module
    container.forward = lambda x: run(inside, x, checkpointing)
    try:
        x = container(x)
    finally:
        del container.forward
    return run(part(span.last, len(chain)), x, checkpointing)
