"""A neuron with its gate and the pooling behind it, the unit that the networks are built of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from saccade.bench.plain import loop
from saccade.bench.timing import interleave, summary
from saccade.engines.inference.neuron import packed
from saccade.engines.inference.site import Site
from saccade.nn import LIF, GatedNeuron, TimeFolded, create_attention

#: name -> (attention, shape of the current, whether a static image, pooling)
MODULES: dict[str, tuple[str, tuple[int, ...], bool, nn.Module | None]] = {
    "LIF, TCJA, average pool": ("tcja", (10, 4, 128, 48, 48), False, nn.AvgPool2d(2)),
    "LIF, DTA": ("dta", (6, 8, 64, 32, 32), True, None),
}


def measure_modules(rounds: int, shrink: int = 1) -> dict[str, Any]:
    """Forward, and forward + backward where it can be. `shrink` divides height and width."""
    result = {}
    for name, (attention, shape, static, pool) in MODULES.items():
        T, B, C, H, W = shape
        site = GatedNeuron(LIF(), create_attention(attention, C, T))
        image = torch.randn(1 if static else T, B, C, H // shrink, W // shrink)
        result[name] = {"shape": [*image.shape], "steps": T, **_measure(site, image, T, pool, rounds)}
    return result


def _measure(site: GatedNeuron, x: Tensor, steps: int, pool: nn.Module | None, rounds: int) -> dict[str, Any]:
    pooled = nn.Identity() if pool is None else TimeFolded(pool)
    copies = x.expand(steps, *x.shape[1:]).contiguous()
    last = packed(x).expand(steps, *x.shape[1:])
    fused = Site("site", site.neuron, site.attention, pool, steps, as_bytes=False)  # type: ignore[arg-type]

    def plain(current: Tensor) -> Tensor:
        return pooled(site.attention(loop(site.neuron, current), current))  # type: ignore[arg-type]

    def ours(current: Tensor) -> Tensor:
        return pooled(site(current))

    def both(run: Callable[[Tensor], Tensor], current: Tensor) -> None:
        leaf = current.detach().requires_grad_()
        run(leaf).sum().backward()

    with torch.no_grad():
        forward = {
            "plain": partial(plain, copies),
            "saccade": partial(ours, last),
            "deployed": partial(fused, packed(x)),
        }
        times = interleave(forward, rounds)
    backward = {"plain": partial(both, plain, copies), "saccade": partial(both, ours, last)}
    return {
        "forward": summary(times, "plain"),
        "forward+backward": summary(interleave(backward, rounds), "plain"),
    }
