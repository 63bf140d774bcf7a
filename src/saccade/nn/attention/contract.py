"""The contract of every attention module: a sequence in, a gate out, and the gate multiplies the spikes.

    y = gate(source) * spikes

The source is the spikes themselves (TCJA and most others) or the membrane current that produced them (DTA, GAC).
Shapes: everything is [T, B, C, H, W], the gate broadcasts to that.

`placement` says where a network applies the gate. "spikes" multiplies what the neuron fired; what comes out is then
real valued. "current" multiplies the current before the neuron, with the current as source, so that everything
downstream stays binary. `GatedNeuron` carries both out. The default is where the module's paper puts it.

What a module is, it says itself, as class attributes: whoever runs, draws or loads gates asks these, and knows no
module by name.
"""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

import torch
from torch import Tensor, nn

PLACEMENTS = ("spikes", "current")

#: ordered (pattern, replacement) pairs that turn the authors' key names into ours; an empty result drops the key
Rules = tuple[tuple[str, str], ...]


class Attention(nn.Module):
    """Base of all attention modules. Subclasses implement `compute_gate(source)`.

    Args:
        channels: C of the sequences to gate.
        steps: T of the sequences to gate.
        placement: what is multiplied, "spikes" or "current" (which keeps the network's activations binary); None:
            the one that was published.
    """

    #: what the gate is computed from: "spikes" or "current"
    source: ClassVar[str] = "spikes"
    #: what of the source it is computed from: "means" (over H, W, of every step and channel, and nothing else; the gate
    #: is then [T, B, C, 1, 1], and that of the means [T, B, C, 1, 1] themselves is the same) or "full"
    needs: str = "full"
    #: whether the gate is never negative, so that it commutes with a max pooling where it is the same at all pixels
    positive: ClassVar[bool] = False
    #: which steps of the source step t of the gate depends on: "own" (t), "past" (t and before) or "all"
    looks_at_steps: str = "all"
    #: whether weights depend on T; if not, sequences of any length are accepted
    fixed_steps: ClassVar[bool] = True
    #: whether what is gated passes a ReLU, as MA-SNN's currents do
    rectify: bool = False
    #: what the paper's gate multiplies: "spikes" or "current"
    published_placement: ClassVar[str] = "spikes"
    #: a word that modules of one paper share, for networks that treat them alike
    family: ClassVar[str] = ""
    #: the registered gate that stands in fully connected layers where this one stands in all others
    on_features: ClassVar[str] = "none"
    #: where in a network it stands in the paper, in words
    published_at: ClassVar[str] = ""
    #: the authors' key names of this module alone; empty: no code was released that we know of
    official_keys: ClassVar[Rules] = ()

    def __init__(self, channels: int, steps: int, placement: str | None = None) -> None:
        super().__init__()
        check_positive(type(self).__name__, channels=channels, steps=steps)
        placement = self.published_placement if placement is None else placement
        if placement not in PLACEMENTS:
            raise ValueError(f"placement must be 'spikes' or 'current', not {placement!r}.")
        self.channels = channels
        self.steps = steps
        self.placement = placement

    def compute_gate(self, source: Tensor) -> Tensor:
        """The gate for a source [T, B, C, H, W] that has been checked; broadcasts to the same shape."""
        raise NotImplementedError(f"{type(self).__name__} must implement compute_gate(source).")

    def gate(self, spikes: Tensor, current: Tensor | None = None) -> Tensor:
        """The gate alone, broadcastable to [T, B, C, H, W]. Arguments as for `forward`."""
        source = self._pick_source(spikes, current)
        self._check(source)
        return self.compute_gate(source)

    def forward(self, spikes: Tensor, current: Tensor | None = None) -> Tensor:
        """Gated spikes.

        Args:
            spikes: what is multiplied, [T, B, C, H, W]. With `placement="current"`, the current itself.
            current: the current that produced the spikes, same shape. Needed where `source == "current"`.

        Raises:
            ValueError: wrong layout, C or T, or a missing current.
        """
        gated = self.gate(spikes, current) * spikes
        return gated.relu() if self.rectify else gated

    def resize_steps(self, steps: int) -> Attention:
        """Change T in place by resampling every time-indexed weight; returns self.

        A weight that sums over time keeps its sum, so that a source that is constant in time meets the same sums as
        before (up to the borders of convolutions over time). Widths of hidden layers stay. Training on from here is
        advised, with a new optimizer: the parameters are new tensors.
        """
        check_positive(type(self).__name__, steps=steps)
        if steps != self.steps:
            self._resize_weights(steps)
            self.steps = steps
        return self

    def _resize_weights(self, steps: int) -> None:
        """Replace the parameters whose shape depends on T. Default: there are none."""

    def _pick_source(self, spikes: Tensor, current: Tensor | None) -> Tensor:
        name = type(self).__name__
        if self.placement == "current":
            if current is not None:
                raise ValueError(
                    f"{name} was built with placement='current': it gates the current itself. Call it as "
                    "attention(current), before the neuron."
                )
            return spikes
        if self.source == "spikes":
            return spikes
        if current is None:
            raise ValueError(
                f"{name} computes its gate from the membrane current: call it as "
                f"attention(spikes, current=x), where x is the input of the neuron that fired the spikes."
            )
        if current.shape != spikes.shape:
            raise ValueError(
                f"The current {list(current.shape)} and the spikes {list(spikes.shape)} must have the same shape."
            )
        return current

    def _check(self, x: Tensor) -> None:
        name = type(self).__name__
        if x.ndim != 5:
            raise ValueError(
                f"{name} takes sequences [T, B, C, H, W], but got {x.ndim} dimensions {list(x.shape)}. "
                "Stack a static image with x.expand(T, ...) or add H = W = 1 to features."
            )
        T, _, C, _, _ = x.shape
        if self.channels != C:
            raise ValueError(
                f"{name} was built for channels={self.channels} but the input has {C} channels "
                f"([T, B, C, H, W] = {list(x.shape)}). Build it with channels={C}, or check the order of the axes."
            )
        if self.fixed_steps and self.steps != T:
            raise ValueError(
                f"{name} was built for steps={self.steps} but the input has {T} steps "
                f"([T, B, C, H, W] = {list(x.shape)}). Build it with steps={T} or call resize_steps({T})."
            )

    def extra_repr(self) -> str:
        text = f"channels={self.channels}, steps={self.steps}, source={self.source}, placement={self.placement}"
        return text + (", causal" if self.looks_at_steps == "past" else "") + (", rectify" if self.rectify else "")


class NoAttention(Attention):
    """The gate that is 1 everywhere: `forward` returns its input itself."""

    fixed_steps = False
    positive = True
    looks_at_steps = "own"

    def compute_gate(self, source: Tensor) -> Tensor:
        return source.new_ones(1, 1, 1, 1, 1)

    def forward(self, spikes: Tensor, current: Tensor | None = None) -> Tensor:
        self._check(spikes)
        return spikes


class ScoreAttention(Attention):
    """An attention whose gate is the sigmoid of one score: gate = sigmoid(score(source))."""

    positive = True

    def score(self, source: Tensor) -> Tensor:
        """What the sigmoid is applied to, broadcastable to [T, B, C, H, W]."""
        raise NotImplementedError(f"{type(self).__name__} must implement score(source).")

    def compute_gate(self, source: Tensor) -> Tensor:
        return self.score(source).sigmoid()


class GatedNeuron(nn.Module):
    """A neuron and the attention that gates it, at the attention's placement: [T, B, C, H, W] -> same shape."""

    def __init__(self, neuron: nn.Module, attention: Attention) -> None:
        super().__init__()
        self.neuron = neuron
        self.attention = attention

    def forward(self, current: Tensor) -> Tensor:
        if self.attention.placement == "current":
            return self.neuron(self.attention(current))
        return self.attention(self.neuron(current), current)


def check_positive(owner: str, **sizes: int) -> None:
    """ValueError for sizes that are not positive integers."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{owner}: {name} must be a positive integer, not {size!r}.")


def resample(weight: Tensor, dim: int, size: int, *, summed: bool = False) -> nn.Parameter:
    """A parameter with `dim` resampled to `size`.

    More entries are interpolated linearly, fewer are means of the old ones that they cover. On a `summed` axis each
    old entry is shared out among the new ones that cover it, so that the sum stays exactly what it was.
    """
    old = weight.shape[dim]
    flat = weight.detach().movedim(dim, -1).to(torch.float64)
    if size > old and not summed:
        new = nn.functional.interpolate(flat.reshape(1, -1, old), size=size, mode="linear", align_corners=False)
        new = new.reshape(*flat.shape[:-1], size)
    else:
        share = _overlap(old, size, weight.device)
        new = flat @ (share if summed else share * (size / old))
    new = new.movedim(-1, dim).to(weight.dtype).contiguous()
    return nn.Parameter(new, requires_grad=weight.requires_grad)


def _overlap(old: int, size: int, device: torch.device) -> Tensor:
    """[old, size]: the share of each of `old` equal bins that falls into each of `size` equal bins of the same span."""
    edge, cut = (torch.arange(n + 1, dtype=torch.float64, device=device) / n for n in (old, size))
    covered = torch.minimum(edge[1:, None], cut[1:]) - torch.maximum(edge[:-1, None], cut[:-1])
    return covered.clamp(min=0) * old
