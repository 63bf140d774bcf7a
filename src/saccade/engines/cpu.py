"""The fused CPU engine: stretches of convolutions and neurons as composite nodes.

A composite node keeps one tensor per convolution for backward instead of one per operation, works channels last, and
computes once what is the same at every step. It calls none of the modules that it stands for, so a stretch is taken
only where nobody can tell: in plain float32 or float64 on the CPU, with neurons whose backend is "auto" or "cpu", and
with no hook on any module inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saccade.chain import Chain, LayerLink, Link, NeuronLink, PoolLink, ResidualLink, check_branches
from saccade.chain.patterns import (
    gate_commutes_with,
    gated_by_spikes,
    halving,
    has_global_hooks,
    has_hooks,
    is_plain_conv,
    is_plain_norm,
    plain_neuron,
)
from saccade.engines.nodes import add_normalised, compose, convolve_frames, folded, multiply, normalise_once
from saccade.engines.recompute import recomputed
from saccade.nn.folding import regular_gradient, unfold_time
from saccade.nn.neuron import LIF
from saccade.nn.self_attention import TokenProduct
from saccade.ops.lif import cpu

name = "cpu"

LOWERED = {(torch.float32, torch.bfloat16), (torch.bfloat16, torch.bfloat16)}  # input and autocast's type
LARGE = 1 << 20  # bytes that are worth computing again in backward instead of keeping
#: numbers that a stretch's first convolution gives, below which the modules are faster in training (see `too_small`)
ONE_STEP, FEW_STEPS = 1 << 19, 1 << 15
FEW = 4


def refuses(x: Tensor) -> str | None:
    """Why no stretch can be taken with this input, or None."""
    if x.ndim != 5 or not x.numel():
        return f"the input {list(x.shape)} is no sequence of frames"
    if torch.is_autocast_enabled("cpu") and (x.dtype, torch.get_autocast_dtype("cpu")) not in LOWERED:
        return f"autocast to {torch.get_autocast_dtype('cpu')} is on, and the input is {x.dtype}"
    if x.dtype == torch.bfloat16 and not torch.is_autocast_enabled("cpu"):
        return "the input is torch.bfloat16 without autocast"
    return cpu.unsupported(x, 1.0, 1.0, LIF().spec) or cpu.unavailable()


def objection(link: Link) -> str | None:
    """Why a link is not taken, or None."""
    if any(map(has_hooks, link.modules())):
        return "a hook waits for it"
    if isinstance(link, ResidualLink):
        return objection_inside(link)
    if isinstance(link, LayerLink):
        if not is_plain_conv(link.core):
            return "not a plain 2-d convolution"
        return None if link.norm is None or is_plain_norm(link.norm) else "its norm is not a plain batch norm"
    if isinstance(link, NeuronLink):
        if not isinstance(link.neuron, LIF):
            return "not a LIF neuron"
        backend = link.neuron.backend
        return None if backend in ("auto", "cpu") else f"backend {backend!r} was asked for"
    if isinstance(link, PoolLink) and type(link.pool).__module__.startswith("torch.nn."):
        return None
    if isinstance(link.module, TokenProduct):  # computed by itself, so that what is around it stays one stretch
        return None
    return "it works on features" if isinstance(link, PoolLink) else f"no composite form of a {link.kind}"


def objection_inside(link: ResidualLink) -> str | None:
    """Why a residual is not taken that has been entered already, so that hooks on itself have been called; or None."""
    if not link.main:
        return "nothing is added to the input"
    found = ((inner.name, objection(inner)) for inner in (*link.main, *link.shortcut))
    return next((f"{name}: {why}" for name, why in found if why), None)


def reach(links: Sequence[Link], first: int, x: Tensor) -> int:
    """The end of the stretch that starts at `first`, or `first` if there is none worth taking."""
    if refuses(x) is not None or has_global_hooks():
        return first
    end, gains = first, False
    while end < len(links) and objection(links[end]) is None:
        gains = gains or gain(links[end])
        end += 1
    return end if gains and not too_small(links[first:end], x) else first


def too_small(links: Sequence[Link], x: Tensor) -> bool:
    """Whether the modules are faster: few steps leave little of a loop to fuse, and a node costs a little Python.

    Only in training, where a node has two directions; a neuron whose backend is "cpu" is given its node all the same.
    """
    if len(x) > FEW or not any(link.module.training for link in links):
        return False
    inside = list(Chain(links).walk())
    if any(isinstance(link, NeuronLink) and link.neuron.backend == "cpu" for link in inside):
        return False
    first = next((link.core for link in inside if isinstance(link, LayerLink)), None)
    fired = 0 if first is None else x[:, :, 0].numel() * first.out_channels // math.prod(first.stride)
    return max(x.numel(), fired) < (ONE_STEP if len(x) == 1 else FEW_STEPS)


def gain(link: Link) -> bool:
    """Whether a link becomes part of a composite node: without one there is nothing to fuse."""
    if isinstance(link, ResidualLink):
        return any(map(gain, (*link.main, *link.shortcut)))
    neuron = plain_neuron(link) or gated_by_spikes(link)
    return neuron is not None and neuron.spec.beyond_kernels() is None


def run(links: Sequence[Link], x: Tensor, recompute: bool = True) -> Tensor:
    """The links one after the other, [T, B, C, H, W] -> the last one's output.

    With `recompute`, what is cheap to compute again and large to keep is computed again in backward.
    """
    return _flow(links, x, recompute).sequence()


@dataclass
class Flow:
    """A sequence on its way from node to node.

    Args:
        y: [T*B, C, H, W] channels last; [B, C, H, W] if `static`, where every step shows the same.
        norm: what is still to be applied to y, by the node that reads it.
    """

    y: Tensor
    steps: int
    static: bool
    norm: nn.BatchNorm2d | None = None

    @classmethod
    def of(cls, x: Tensor) -> Flow:
        x = lowered(x)
        if is_static(x):
            return cls(x[0], len(x), True)
        return cls(folded(x), len(x), False)

    def set(self, y: Tensor, norm: nn.BatchNorm2d | None = None) -> None:
        """What has been computed, for all steps."""
        self.y, self.norm, self.static = y, norm, False

    def normed(self) -> Tensor:
        """y with its norm applied."""
        return self.y if self.norm is None else regular_gradient(self.norm(self.y))

    def repeated(self, y: Tensor) -> Tensor:
        """[T*B, C, H, W] of y or of what became of it."""
        return folded(y.expand(self.steps, *y.shape)) if self.static else y

    def frames(self) -> Tensor:
        """Everything applied, [T*B, C, H, W]."""
        return self.repeated(self.normed())

    def sequence(self) -> Tensor:
        """Everything applied, [T, B, C, H, W]; of equal steps if `static`."""
        y = self.normed()
        return y.expand(self.steps, *y.shape) if self.static else unfold_time(y, self.steps)


def lowered(x: Tensor) -> Tensor:
    """x in the type that autocast gives to convolutions, if it is on; equal steps stay one memory."""
    if not torch.is_autocast_enabled("cpu"):
        return x
    dtype = torch.get_autocast_dtype("cpu")
    return x[0].to(dtype).expand_as(x) if is_static(x) else x.to(dtype)


def is_static(x: Tensor) -> bool:
    """Whether a sequence [T, ...] shows the same memory at every step."""
    return len(x) > 1 and x.stride(0) == 0


def _flow(links: Sequence[Link], x: Tensor, recompute: bool) -> Flow:
    flow, i = Flow.of(x), 0
    while i < len(links):
        link = links[i]
        if isinstance(link, NeuronLink):
            i += _fire(flow, link, links[i + 1 :], recompute)
            continue
        if isinstance(link, LayerLink):
            _convolve(flow, link)
        elif isinstance(link, ResidualLink):
            _add(flow, link, recompute)
        else:
            flow.set(folded(link(flow.sequence())))
        i += 1
    return flow


def _convolve(flow: Flow, link: LayerLink) -> None:
    """A layer, whose norm is left to the node that reads it; of one image if all steps show the same.

    In training the norm of such an image is computed here, once for all steps: its statistics are a pass of their own.
    """
    y = convolve_frames(link.core, flow.normed())
    if not flow.static:
        flow.set(y, link.norm)
    elif link.norm is None or not link.norm.training:
        flow.y, flow.norm = y, link.norm
    elif y.numel() == y.shape[1]:  # batch norm refuses one value per channel, but takes copies
        flow.set(folded(y.expand(flow.steps, *y.shape)), link.norm)
    else:
        flow.y, flow.norm = normalise_once(link.norm, y, flow.steps), None


def _fire(flow: Flow, link: NeuronLink, following: Sequence[Link], recompute: bool) -> int:
    """A neuron, and what its node takes along: a pooling, a convolution. Returns the number of links."""
    lif = plain_neuron(link) or gated_by_spikes(link)
    pool = _pool(flow, following)
    after = following[pool is not None :][:1]
    conv = after[0] if after and isinstance(after[0], LayerLink) else None
    bare = flow.static and pool is None and conv is None  # the neuron reads one image at every step, without copies
    if lif is None or lif.spec.beyond_kernels() or bare:
        x = flow.sequence()
        # a gate is cheap, and its graph holds many tensors of the current's size
        again = recompute and link.gate is not None and x.nbytes >= LARGE
        flow.set(folded(recomputed(link.module, x, link.module) if again else link(x)))
        return 1
    y, norm, steps = flow.repeated(flow.y), flow.norm, flow.steps
    if link.gate is None:
        out, _ = compose(y, steps, lif, norm, pool or "none", None if conv is None else conv.core)
        flow.set(out, None if conv is None else conv.norm)
        return 1 + (pool is not None) + (conv is not None)
    if gate_commutes_with(link, pool or "average"):
        out, mean = compose(y, steps, lif, norm, pool or "none", mean=True)
        flow.set(multiply(out, link.gate.gate(unfold_time(mean, steps)[..., None, None]), steps))
        return 1 + (pool is not None)
    spikes, _ = compose(y, steps, lif, norm)
    flow.set(folded(link.gate(unfold_time(spikes, steps))))
    return 1


def _pool(flow: Flow, following: Sequence[Link]) -> str | None:
    """The pooling behind a neuron, where a node can do it."""
    if not following or not isinstance(following[0], PoolLink) or min(flow.y.shape[-2:]) < 2:
        return None
    return halving(following[0].pool)


def _add(flow: Flow, link: ResidualLink, recompute: bool) -> None:
    """A residual. A norm at the end of its main branch is part of the sum."""
    x = unfold_time(flow.frames(), flow.steps)
    if recompute and x.nbytes >= LARGE and _is_pointwise(link):
        shortcut = recomputed(link.shortcut[0], x, link.shortcut[0].module)
    else:
        shortcut = run(link.shortcut, x, recompute) if link.shortcut else x
    main = _flow(link.main, x, recompute)
    norm, y = (None, main.frames()) if main.static else (main.norm, main.y)
    other = folded(check_branches(link, unfold_time(y, flow.steps), shortcut))
    flow.set(y + other if norm is None else add_normalised(norm, y, other))


def _is_pointwise(link: ResidualLink) -> bool:
    """Whether the shortcut is one 1 x 1 convolution: cheap to compute again, and its result as large as any other."""
    layers = [inner for inner in link.shortcut if isinstance(inner, LayerLink)]
    return len(layers) == len(link.shortcut) == 1 and tuple(layers[0].core.kernel_size) == (1, 1)


def residual(link: ResidualLink, x: Tensor, recompute: bool) -> Tensor | None:
    """A residual that has been entered, as composite nodes; None where it cannot be."""
    if refuses(x) or has_global_hooks() or objection_inside(link) or not gain(link) or too_small([link], x):
        return None
    flow = Flow(folded(lowered(x)), len(x), False)
    _add(flow, link, recompute)
    return flow.sequence()
