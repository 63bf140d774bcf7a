"""Self attention of spikes: products of queries, keys and values that are 0 or 1, without a softmax.

All take queries, keys and values side by side as one sequence of maps [T, B, parts * C, H, W] (rows of one 1 x 1
convolution), and give [T, B, C, H, W]. The tokens are the N = H * W pixels; heads are groups of d = C / heads
neighbouring channels.

Products of spikes are AND, and their sums counts: whole numbers, exact in every order of the products.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from saccade.nn.attention.contract import check_positive
from saccade.nn.neuron import LIF
from saccade.nn.tim import TIM


class ProductOperations(NamedTuple):
    """The operations of a product of spikes.

    Args:
        products: of any two numbers, zeros included: MACs, were it computed as the matrix product that it is.
        counts: additions where it is ANDs and counts: one for every pair of spikes that meet, and one for every entry
            of a count that a spike selects.
    """

    products: int
    counts: int


def of_matrices(a: Tensor, b: Tensor, selects: Tensor) -> ProductOperations:
    """Those of a b^T, spikes [..., m, n] and [..., l, n], and of its product with spikes selects [..., l, k]."""
    met = (a.sum(-2) * b.sum(-2)).sum()
    entries = a.numel() * b.shape[-2] + a.shape[-2] * selects.numel()
    return ProductOperations(entries, int(met) + int(selects.sum()) * a.shape[-2])


class TokenProduct(nn.Module):
    """Base of the products: checks, and what streams and engines ask of one.

    Args:
        heads: into how many groups the channels are divided.
    """

    #: how many sequences of C channels it reads side by side
    parts: ClassVar[int] = 3
    #: which steps of the input step t of the output depends on: "own" (t), "past" (t and before) or "all"
    looks_at_steps: ClassVar[str] = "own"

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        check_positive(type(self).__name__, heads=heads)
        self.heads = heads

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys (and values), each [T, B, C, H, W]."""
        name = type(self).__name__
        if x.ndim != 5 or x.shape[2] % (self.parts * self.heads):
            raise ValueError(
                f"{name} takes {self.parts} parts of C channels side by side, [T, B, {self.parts} * C, H, W], with C a "
                f"multiple of heads={self.heads}, but got {list(x.shape)}."
            )
        return x.chunk(self.parts, dim=2)

    def by_head(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, heads, d, N]."""
        return x.unflatten(2, (self.heads, -1)).flatten(4)

    def operations(self, x: Tensor, y: Tensor) -> ProductOperations:
        """What computing the output y from the input x takes, for all steps and samples."""
        raise NotImplementedError(f"{type(self).__name__} must implement operations(x, y).")

    def extra_repr(self) -> str:
        return f"heads={self.heads}"


class SpikingSelfAttention(TokenProduct):
    """Spiking self attention (Spikformer): y = scale * v (k^T q) for every head, step and sample, q, k, v [d, N].

    Zhou et al. Spikformer: When Spiking Neural Network Meets Transformer. ICLR 2023, arXiv 2209.15425.
    The scale is 0.125 in the released code whatever d is.

    Computed as (v k^T) q where there are more tokens than channels in a head: the same whole numbers, with less work.
    """

    def __init__(self, heads: int = 1, scale: float = 0.125) -> None:
        super().__init__(heads)
        self.scale = scale

    def queries(self, q: Tensor) -> Tensor:
        """The queries [T, B, heads, d, N] as they enter the product."""
        return q

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """scale * v (k^T q), all [T, B, heads, d, N]."""
        d, tokens = q.shape[-2:]
        y = v @ (k.transpose(-1, -2) @ q) if tokens <= d else (v @ k.transpose(-1, -2)) @ q
        return y * self.scale

    def operations(self, x: Tensor, y: Tensor) -> ProductOperations:
        q, k, v = map(self.by_head, self.split(x))
        q = self.queries(q)
        d, tokens = q.shape[-2:]
        if tokens <= d:
            return of_matrices(q.transpose(-1, -2), k.transpose(-1, -2), v.transpose(-1, -2))
        return of_matrices(v, k, q)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = map(self.by_head, self.split(x))
        return self.attend(self.queries(q), k, v).reshape(*x.shape[:2], -1, *x.shape[3:])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, scale={self.scale:g}"


class TIMSelfAttention(SpikingSelfAttention):
    """Spiking self attention whose queries pass `TIM`, which mixes them with those of the steps before.

    Shen, Zhao, Shen, Zeng. TIM: An Efficient Temporal Interaction Module for Spiking Transformer. IJCAI 2024.

    Args:
        heads: see `TokenProduct`.
        tokens: N; TIM has weights for every token.
        released: TIM as the released code runs it, which lets no query through after the first step.
        scale: of the product, 0.25 in the released code.
    """

    looks_at_steps = "past"

    def __init__(self, heads: int, tokens: int, released: bool = False, scale: float = 0.25) -> None:
        super().__init__(heads, scale)
        self.tim = TIM(tokens, released=released)

    def queries(self, q: Tensor) -> Tensor:
        return self.tim(q.transpose(3, 4)).transpose(3, 4)

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step [1, B, 3 * C, H, W] of a stream; `walk` holds TIM's state."""
        q, k, v = map(self.by_head, self.split(x))
        keys = [f"{walk.prefix}tim.{part}" for part in ("queries", "neuron_in", "neuron_out")]
        state = tuple(walk.state[key] for key in keys) if keys[0] in walk.state else None
        q_t, state = self.tim.step(q[0].transpose(2, 3), state)
        walk.state.update(zip(keys, state, strict=True))
        return self.attend(q_t.transpose(2, 3)[None], k, v).reshape(1, x.shape[1], -1, *x.shape[3:])


class FiredGate(TokenProduct):
    """A product whose one factor is fired by a neuron: y = neuron(score) * carried, spikes all of them.

    Args:
        heads: see `TokenProduct`.
        neuron: what fires; None: the released one, SpikingJelly's with threshold 0.5.
    """

    looks_at_steps = "past"

    def __init__(self, heads: int = 1, neuron: LIF | None = None) -> None:
        super().__init__(heads)
        self.neuron = LIF.published("spikingjelly", threshold=0.5) if neuron is None else neuron

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the neuron integrates, and what its spikes multiply. Every step by itself."""
        raise NotImplementedError(f"{type(self).__name__} must implement score(x).")

    def multiply(self, fired: Tensor, carried: Tensor) -> Tensor:
        """The product of both, [T, B, C, H, W]."""
        return fired * carried

    def operations(self, x: Tensor, y: Tensor) -> ProductOperations:
        score, carried = self.score(x)
        return ProductOperations(2 * carried.numel(), int(score.sum()) + int(y.sum()))

    def forward(self, x: Tensor) -> Tensor:
        score, carried = self.score(x)
        return self.multiply(self.neuron(score), carried)

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step [1, B, parts * C, H, W] of a stream; `walk` holds the neuron's state."""
        score, carried = self.score(x)
        key = f"{walk.prefix}neuron"
        fired, walk.state[key] = self.neuron.step(score[0], walk.state.get(key))
        return self.multiply(fired[None], carried)


class TokenQK(FiredGate):
    """Q-K token attention (QKFormer): y = LIF(sum over a head's channels of q) * k, one gate for every head and token.

    Zhou et al. QKFormer: Hierarchical Spiking Transformer using Q-K Attention. NeurIPS 2024,
    arXiv 2403.16552. Its cost grows with N, not N^2.
    """

    parts = 2

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k = self.split(x)
        return q.unflatten(2, (self.heads, -1)).sum(3), k

    def multiply(self, fired: Tensor, carried: Tensor) -> Tensor:
        return (fired.unsqueeze(3) * carried.unflatten(2, (self.heads, -1))).flatten(2, 3)


class ChannelQK(FiredGate):
    """Q-K channel attention (QKFormer): y = LIF(sum over the tokens of q) * k, one gate for every channel."""

    parts = 2

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k = self.split(x)
        return q.sum(dim=(3, 4), keepdim=True), k


class SpikeDrivenSelfAttention(FiredGate):
    """Spike-driven self attention (SDT): y = LIF(sum over the tokens of k * v) * q, one gate for every channel.

    Yao et al. Spike-driven Transformer. NeurIPS 2023, arXiv 2307.01694. No products but AND; heads play no role.
    """

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = self.split(x)
        return (k * v).sum(dim=(3, 4), keepdim=True), q


class SpatioTemporalSelfAttention(TokenProduct):
    """Block-wise spatial-temporal attention (STAtten): the tokens of `chunk` steps are one set.

        y = ((1 / H) sum over the chunk's tokens of v k^T) q        for every head, [d, d] times [d, chunk * N]

    Lee et al. Spiking Transformer with Spatial-Temporal Attention. CVPR 2025, arXiv 2409.19764.

    Args:
        heads: see `TokenProduct`.
        chunk: steps that are looked at together.

    Differs from the released code: a last chunk may be shorter, where T is no multiple of `chunk` (there an error).
    """

    looks_at_steps = "all"

    def __init__(self, heads: int = 1, chunk: int = 2) -> None:
        super().__init__(heads)
        check_positive("SpatioTemporalSelfAttention", chunk=chunk)
        self.chunk = chunk

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._attend(steps) for steps in x.split(self.chunk)])

    def operations(self, x: Tensor, y: Tensor) -> ProductOperations:
        found = [of_matrices(v, k, q) for q, k, v in map(self._tokens, x.split(self.chunk))]
        return ProductOperations(sum(o.products for o in found), sum(o.counts for o in found))

    def _tokens(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of one chunk, [B, heads, d, t * N]."""
        return tuple(self.by_head(part).movedim(0, -2).flatten(-2) for part in self.split(x))

    def _attend(self, x: Tensor) -> Tensor:
        """The steps of one chunk, [t, B, 3C, H, W] -> [t, B, C, H, W]."""
        t, H = len(x), x.shape[3]
        q, k, v = self._tokens(x)
        y = ((v @ k.transpose(-1, -2)) / H) @ q
        y = y.unflatten(-1, (t, -1)).movedim(-2, 0)
        return y.reshape(t, x.shape[1], -1, *x.shape[3:])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, chunk={self.chunk}"
