"""Whole networks: training step and inference, the plain way against ours, and every precision of deployment."""

from __future__ import annotations

from typing import Any

from saccade.bench.cases import INFERENCE, TRAINING, Case, inference, multiply_adds, training
from saccade.bench.memory import peak_memory
from saccade.bench.timing import interleave, summary

#: the ways whose memory is measured, each in processes of its own, which takes most of the time
WEIGHED = {
    "plain",
    "saccade",
    "saccade checkpointed",
    "saccade bfloat16",
    "deploy float",
    "deploy exact",
    "deploy int8",
}


def measure_network(
    case: Case,
    rounds: int,
    peak_GFLOPs: float | None = None,
    memory: bool = True,
    kinds: tuple[str, ...] = ("training", "inference"),
) -> dict[str, Any]:
    """Times, ratios to the plain way, share of the convolution roofline, and peak memory in a fresh process.

    A training step counts as three forward passes: the gradients of inputs and of weights are one each.
    """
    macs = multiply_adds(case)
    result: dict[str, Any] = {"case": vars(case), "multiply_adds": macs}
    for kind, ways, build, passes in (("training", TRAINING, training, 3), ("inference", INFERENCE, inference, 1)):
        if kind not in kinds:
            continue
        times = interleave({way: build(case, way) for way in ways}, rounds, warmup=1)
        rows: dict[str, Any] = dict(summary(times, "plain"))
        for row in rows.values():
            row["GFLOPs"] = float(f"{2 * passes * macs / row['ms_median'] / 1e6:.4g}")
            if peak_GFLOPs:
                row["of_float32_roofline"] = round(row["GFLOPs"] / peak_GFLOPs, 3)
        if memory:
            for way in WEIGHED & set(ways):
                rows[way]["peak_MB"] = peak_memory(case, kind, way)
        result[kind] = rows
    return result
