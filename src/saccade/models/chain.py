"""Networks run as composite nodes where they may be, module by module where they may not; the numbers are the same.

The composite form keeps one tensor per convolution for backward instead of one per operation, works channels last, and
computes once what is the same at every step. `backend="reference"` asks for the modules one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from saccade.models.blocks import ConvNorm
from saccade.nn.composite import (
    channels_last,
    compose,
    convolve_frames,
    folded,
    gate_of_means,
    gate_of_spikes,
    is_plain_conv,
    is_plain_norm,
    move_statistics,
    plain_neuron,
    pooling,
    runs_composite,
)
from saccade.nn.folding import TimeFolded, fold_time, unfold_time
from saccade.nn.normed import fire_normed
from saccade.nn.recompute import recomputed

Stage = tuple[ConvNorm, nn.Module, TimeFolded | None]


def is_static(x: Tensor) -> bool:
    """Whether a sequence [T, ...] shows the same memory at every step."""
    return len(x) > 1 and x.stride(0) == 0


def run_stages(
    owner: nn.Module, x: Tensor, backend: str, stages: Sequence[Stage], grad_checkpointing: bool = False
) -> Tensor:
    """{convolution and norm - neuron, gated or not - [pooling]} per stage: [T, B, C, H, W] -> [T, B, C', H', W'].

    With `grad_checkpointing`, only the input of each stage is kept for backward. A composite node then ends with its
    stage, before the next convolution: what is kept was pooled, and is smaller than what the convolution makes of it.
    """
    plain = all(is_plain_stage(conv) for conv, _, _ in stages)
    run = _composite_stages if plain and runs_composite(owner, x, backend) else _each_stage
    if not grad_checkpointing:
        return run(x, stages)
    for stage in stages:
        parts = [module for module in stage if module is not None]
        x = recomputed(partial(run, stages=[stage]), x, *parts)
    return x


def _each_stage(x: Tensor, stages: Sequence[Stage]) -> Tensor:
    for conv, neuron, pool in stages:
        x = fire_normed(conv, neuron, x)
        x = x if pool is None else pool(x)
    return x


def is_plain_stage(stage: nn.Module) -> bool:
    """Whether this is a convolution and a norm that a composite node can stand for."""
    return type(stage) is ConvNorm and len(stage) == 2 and is_plain_conv(stage[0]) and is_plain_norm(stage[1])


def _composite_stages(x: Tensor, stages: Sequence[Stage]) -> Tensor:
    steps = len(x)
    y: Tensor | None = _convolve(cast(nn.Conv2d, stages[0][0][0]), x)
    for i, (layer, neuron, pool) in enumerate(stages):
        following = stages[i + 1][0][0] if i + 1 < len(stages) else None
        out, convolved = _stage(cast(Tensor, y), steps, layer, neuron, pool, following)
        # held here and in backward no longer than needed
        y = None
        if following is None:
            return unfold_time(out, steps)
        y = out if convolved else convolve_frames(cast(nn.Conv2d, following), out)
    raise AssertionError("a network has at least one stage")


def _convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of the folded sequence; of one image if all steps show the same."""
    if not is_static(x):
        return convolve_frames(conv, fold_time(x))
    return fold_time(convolve_frames(conv, x[0]).expand(len(x), *(-1,) * 4))


def _stage(
    y: Tensor, steps: int, layer: ConvNorm, neuron: nn.Module, pool: TimeFolded | None, following: nn.Module | None
) -> tuple[Tensor, bool]:
    """What follows a convolution's output, [T*B, ...] -> [T*B, ...]; and whether the next convolution is in it."""
    kind = pooling(None if pool is None else pool[0] if len(pool) == 1 else pool)
    norm, plain = cast(nn.BatchNorm2d, layer.norm), plain_neuron(neuron)
    if plain is not None and kind is not None:
        return compose(y, steps, plain, norm, kind, cast("nn.Conv2d | None", following))[0], following is not None
    gated = gate_of_means(neuron)
    if gated is not None and kind in ("max", "average"):
        out, mean = compose(y, steps, gated[0], norm, kind, mean=True)
        gate = gated[1].gate(unfold_time(mean, steps)[..., None, None])
        return fold_time(unfold_time(out, steps) * gate), False
    out = _fire(y, steps, neuron, norm)
    return fold_time(out if pool is None else pool(out)), False


def _fire(y: Tensor, steps: int, neuron: nn.Module, norm: nn.BatchNorm2d | None) -> Tensor:
    """neuron(norm(y)) of folded currents, [T*B, ...] -> [T, B, ...]; norm and neuron as one node if they may be."""
    gated = gate_of_spikes(neuron)
    if gated is not None:
        return gated[1](unfold_time(compose(y, steps, gated[0], norm)[0], steps))
    return neuron(unfold_time(y if norm is None else norm(y), steps))


def run_block(x: Tensor, layers: Iterable[tuple[nn.Module, ConvNorm]], shortcut: Tensor) -> Tensor:
    """shortcut + {neuron - convolution - norm} per layer on the membrane current x [T, B, C, H, W], as composite nodes.

    The sum is made in place: no norm looks at its output again in backward.
    """
    steps, y, norm = len(x), folded(x), None
    for neuron, layer in layers:
        plain = plain_neuron(neuron)
        if plain is not None:
            y = compose(y, steps, plain, norm, conv=cast(nn.Conv2d, layer.conv))[0]
        else:
            y = convolve_frames(cast(nn.Conv2d, layer.conv), fold_time(_fire(y, steps, neuron, norm)))
        norm = cast(nn.BatchNorm2d, layer.norm)
    assert norm is not None, "a block has at least one layer"
    return unfold_time(norm(y).add_(folded(shortcut)), steps)


def run_once(layer: ConvNorm, x: Tensor) -> Tensor:
    """`layer` of a static image, computed once: [T, B, C, H, W] with equal steps -> the same kind of sequence.

    Equal copies leave mean and variance as they are. Only the running variance, which is unbiased, knows how many there
    were: it moves by var * n / (n - 1) with n = T * B * H * W.
    """
    steps, norm = len(x), cast(nn.BatchNorm2d, layer.norm)
    y = cast(nn.Conv2d, layer.conv)(channels_last(x[0]))
    if not norm.training:
        return norm(y).expand(steps, *y.shape)
    n = y.numel() // y.shape[1]
    if n == 1:  # batch norm refuses a single value per channel, but takes T copies of it
        return layer(x)
    mean, variance = torch.zeros_like(norm.bias), torch.zeros_like(norm.bias)
    out = nn.functional.batch_norm(y, mean, variance, norm.weight, norm.bias, True, 1.0, norm.eps)
    with torch.no_grad():
        move_statistics(norm, mean, variance * (steps * (n - 1) / (steps * n - 1)))
    return out.expand(steps, *out.shape)
