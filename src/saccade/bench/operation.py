"""The LIF neuron alone, forward and forward + backward, beside a loop, other libraries and a copy of memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from saccade import ops
from saccade.bench.peers import PEERS, find_peers
from saccade.bench.plain import loop
from saccade.bench.timing import interleave, saved_bytes, summary
from saccade.engines.inference.neuron import Fire
from saccade.nn import LIF

SHAPE = (6, 16, 128, 32, 32)
NEURONS: dict[str, Callable[[], LIF]] = {"tcja": partial(LIF.from_tau, 2.0), "dta": LIF}
#: tensors read or written at least: currents and spikes; then also the gradient in, the currents again, the gradient
TENSORS = {"forward": 2, "forward+backward": 5}


def measure_lif(
    rounds: int,
    shape: tuple[int, ...] = SHAPE,
    copy_GBs: float | None = None,
    peers: tuple[str, ...] = tuple(PEERS),
) -> dict[str, Any]:
    """Both neurons, all competitors. `of_copy` is the share of the bandwidth that a copy reaches."""
    x = 0.5 + torch.randn(shape)
    result: dict[str, Any] = {"shape": list(shape)}
    for name, build in NEURONS.items():
        result[name] = _measure(build(), x, rounds, copy_GBs, peers if name == "tcja" else ())
    return result


def _measure(neuron: LIF, x: Tensor, rounds: int, copy_GBs: float | None, peers: tuple[str, ...]) -> dict[str, Any]:
    neurons: dict[str, Callable[[Tensor], Tensor]] = {"plain loop": partial(loop, neuron)}
    missing: dict[str, str] = {}
    for backend, state in ops.active_backends().items():
        if state == "active" and backend != "triton":
            kernel = partial(ops.lif, decay=neuron.decay, gain=neuron.gain, spec=neuron.spec, backend=backend)
            neurons[f"saccade {backend}"] = kernel
        elif backend != "triton":
            missing[f"saccade {backend}"] = state
    others, absent = find_peers(x, peers)
    neurons.update(others)
    missing.update(absent)
    leaf, grad = x.clone().requires_grad_(), torch.randn_like(x)

    def both(run: Callable[[Tensor], Tensor]) -> object:
        return torch.autograd.grad(run(leaf), leaf, grad)

    def forward(run: Callable[[Tensor], Tensor]) -> object:
        with torch.no_grad():
            return run(x)

    deployed = {"saccade deployed, bytes": partial(_bytes, neuron, x)}
    cases: dict[str, dict[str, Callable[[], object]]] = {
        "forward": {**{n: partial(forward, f) for n, f in neurons.items()}, **deployed},
        "forward+backward": {n: partial(both, f) for n, f in neurons.items()},
    }
    result: dict[str, Any] = {"missing": missing}
    for direction, competitors in cases.items():
        rows = summary(interleave(competitors, rounds), "plain loop")
        for row in rows.values():
            row["GB/s"] = float(f"{TENSORS[direction] * x.nbytes / row['ms_median'] / 1e6:.4g}")
            if copy_GBs:
                row["of_copy"] = round(row["GB/s"] / copy_GBs, 3)
        result[direction] = rows
    result["saved_for_backward_MB"] = {
        n: round(saved_bytes(partial(f, leaf)) / 1e6, 1) for n, f in neurons.items() if "compiled" not in n
    }
    return result


def _bytes(neuron: LIF, x: Tensor) -> Tensor:
    flat = x.flatten(1)
    return Fire(neuron)(flat, torch.empty(flat.shape, dtype=torch.uint8))
