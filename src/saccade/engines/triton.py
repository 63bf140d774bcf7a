"""The fused Triton engine: a convolution's batch norm and the neuron after it in one GPU kernel.

The kernel calls neither the norm nor the neuron. So it is taken only where nobody can tell: in training, where firing
is not counted, with a plain norm and a neuron of fixed constants, and with no hook on either.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from saccade.chain import LayerLink, Link, NeuronLink
from saccade.chain.patterns import gated_by_spikes, has_global_hooks, has_hooks, is_plain_norm, plain_neuron
from saccade.nn.folding import fold_time, unfold_time
from saccade.ops.lif import triton
from saccade.ops.norm_lif import norm_lif

name = "triton"


def refuses(x: Tensor) -> str | None:
    """Why no stretch can be taken with this input, or None."""
    return triton.refusal(x) or triton.unavailable()


def objection(link: Link) -> str | None:
    """Why a link is not taken, or None. A layer and the neuron behind it are taken together or not at all."""
    if isinstance(link, LayerLink):
        if not is_plain_norm(link.norm):
            return "no plain batch norm"
        if not link.norm.training:
            return "its norm is not in training"
    elif not isinstance(link, NeuronLink):
        return f"no kernel for a {link.kind}"
    else:
        lif = plain_neuron(link) or gated_by_spikes(link)
        if lif is None:
            return "the neuron is learned or foreign, or its gate needs the current"
        if lif.spec.beyond_kernels():
            return lif.spec.beyond_kernels()
    return "a hook waits for it" if any(map(has_hooks, link.modules())) else None


def reach(links: Sequence[Link], first: int, x: Tensor) -> int:
    """The end of the pair that starts at `first`, or `first` if there is none."""
    pair = links[first : first + 2]
    if len(pair) < 2 or not (isinstance(pair[0], LayerLink) and isinstance(pair[1], NeuronLink)):
        return first
    backend = getattr(pair[1].neuron, "backend", "reference")
    if backend != "triton" and (backend != "auto" or x.device.type != "cuda"):
        return first
    free = not has_global_hooks() and objection(pair[0]) is None and objection(pair[1]) is None
    return first + 2 if free and refuses(x) is None else first


def run(links: Sequence[Link], x: Tensor, recompute: bool = True) -> Tensor:
    """neuron(norm(layer(x))), [T, B, C, H, W] -> [T, B, C', H', W']."""
    layer, neuron = links
    assert isinstance(layer, LayerLink)
    assert isinstance(neuron, NeuronLink)
    lif = plain_neuron(neuron) or gated_by_spikes(neuron)
    assert lif is not None
    current = unfold_time(layer.core(fold_time(x)), len(x))
    spikes = norm_lif(current, layer.norm, lif.decay, lif.gain, lif.spec, lif.backend)
    return spikes if neuron.gate is None else neuron.gate(spikes)
