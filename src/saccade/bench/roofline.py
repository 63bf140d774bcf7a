"""What this machine can do at best: the rate of its convolutions and of its memory, taken in the same run."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from saccade.bench.timing import interleave
from saccade.engines.inference import integer
from saccade.engines.inference.layers import FloatConv, SlicedConv
from saccade.ops.plumbing import bfloat

#: (images, channels, height and width): the 3x3 convolutions of msresnet18
CONVS = ((8, 128, 32), (16, 256, 16), (48, 512, 8))
KINDS = ("float32", "bfloat16", "int8")
COPIED = 50_331_648  # bytes: a LIF's [6, 16, 128, 32, 32] in float32


def measure_roofline(
    rounds: int, convs: tuple[tuple[int, int, int], ...] = CONVS, copied: int = COPIED
) -> dict[str, Any]:
    """GFLOP/s of direct convolutions and GB/s of a copy: the best round of each, for it is a bound.

    Convolutions in float32, in int8, and in bfloat16 if the processor multiplies it.
    """
    cases: dict[str, Any] = {}
    work: dict[str, float] = {}
    with torch.inference_mode():
        for N, C, H in convs:
            weight = torch.randn(C, C, 3, 3).double()
            spikes = torch.randint(0, 2, (N, H, H, C), dtype=torch.uint8).permute(0, 3, 1, 2)
            geometry = (1, 1), (1, 1)
            name = f"conv3x3 [{N}, {C}, {H}, {H}]"
            cases[f"float32 {name}"] = partial(FloatConv(weight, None, *geometry, torch.float32).direct, spikes.float())
            if integer.unavailable() is None:
                cases[f"int8 {name}"] = partial(SlicedConv(weight, None, *geometry, 1, True), spikes)
            if bfloat.units():
                operands = spikes.bfloat16(), weight.bfloat16(), None, *geometry
                cases[f"bfloat16 {name}"] = partial(torch.conv2d, *operands)
            for kind in KINDS:
                work[f"{kind} {name}"] = 2 * N * C * C * 9 * H * H / 1e9
        source, target = (torch.zeros(copied // 4) for _ in range(2))
        cases["copy"] = partial(target.copy_, source)
        work["copy"] = 2 * copied / 1e9
        times = interleave(cases, rounds)
    rates = {name: round(work[name] / min(seconds), 1) for name, seconds in times.items()}
    best = {kind: [rate for name, rate in rates.items() if name.startswith(kind)] for kind in KINDS}
    return {
        "rates": rates,
        "float32_GFLOPs": max(best["float32"]),
        "bfloat16_GFLOPs": max(best["bfloat16"], default=None),
        "int8_GOPs": max(best["int8"], default=None),
        "copy_GBs": rates["copy"],
    }
