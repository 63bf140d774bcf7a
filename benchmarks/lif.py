"""The LIF neuron alone, forward and forward + backward: how fast against a loop, and how near to a copy of memory.

    python benchmarks/lif.py [--rounds 30] [--malloc default|kept] [--threads N] [--shape 6 16 128 32 32]

Two neurons: TCJA's (SpikingJelly's `LIFNode(tau=2)`, ATan, detached reset), which SpikingJelly can run too, and
DTA-SNN's (decay 0.5, triangle, reset not detached). Everybody gets the same float32 currents. `copy` is the roofline:
the kernel has to read one tensor and write one in forward, read two and write one in backward.

Writes results/lif.json, one entry per malloc setting ("kept": glibc does not return freed memory to the system).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saccade import ops
from saccade.atomic import write_text
from saccade.nn import LIF
from timing import environment, interleave, keep_heap, saved_bytes, summary

RESULT = Path(__file__).parent / "results" / "lif.json"
Neuron = Callable[[Tensor], Tensor]


def loop(neuron: LIF) -> Neuron:
    """What everybody writes first: a Python loop over time, differentiated by autograd."""

    def run(x: Tensor) -> Tensor:
        state, spikes = None, []
        for x_t in x:
            spikes_t, state = neuron.step(x_t, state)
            spikes.append(spikes_t)
        return torch.stack(spikes)

    return run


def spikingjelly(neuron: LIF) -> Neuron:
    """SpikingJelly's multi-step node of the same neuron, eager."""
    from spikingjelly.activation_based import neuron as sj
    from spikingjelly.activation_based import surrogate

    node = sj.LIFNode(1 / neuron.gain, surrogate_function=surrogate.ATan(2.0), detach_reset=True, step_mode="m")

    def run(x: Tensor) -> Tensor:
        node.reset()
        return node(x)

    return run


def competitors(name: str) -> dict[str, Neuron]:
    neuron = LIF.from_tau(2.0) if name == "tcja" else LIF()
    found = {"loop": loop(neuron)}
    if name == "tcja":
        found["spikingjelly"] = spikingjelly(neuron)
    for backend, state in ops.active_backends().items():
        if state == "active" and backend != "triton":
            found[backend] = partial(ops.lif, decay=neuron.decay, gain=neuron.gain, spec=neuron.spec, backend=backend)
    return found


def measure(name: str, x: Tensor, rounds: int) -> dict[str, Any]:
    neurons = competitors(name)
    grad, target, leaf = torch.randn_like(x), torch.empty_like(x), x.clone().requires_grad_()

    def forward(neuron: Neuron) -> Callable[[], object]:
        def case() -> object:
            with torch.no_grad():
                return neuron(x)

        return case

    def both(neuron: Neuron) -> Callable[[], object]:
        return lambda: torch.autograd.grad(neuron(leaf), leaf, grad)

    copy = {"copy": lambda: target.copy_(x)}
    expected = neurons["loop"](x)
    result: dict[str, Any] = {}
    for direction, case, tensors in (("forward", forward, 2), ("forward+backward", both, 5)):
        rows = summary(interleave({**{n: case(f) for n, f in neurons.items()}, **copy}, rounds), "loop")
        for row in rows.values():
            row["GB/s"] = float(f"{tensors * x.nbytes / row['ms_median'] / 1e6:.4g}")
        rows["copy"]["GB/s"] = float(f"{2 * x.nbytes / rows['copy']['ms_median'] / 1e6:.4g}")
        result[direction] = rows
    result["saved_for_backward_MB"] = {n: saved_bytes(partial(f, leaf)) / 1e6 for n, f in neurons.items()}
    result["spikes_that_differ_from_loop"] = {n: int((f(x) != expected).sum()) for n, f in neurons.items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--malloc", choices=("default", "kept"), default="default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--shape", type=int, nargs="+", default=[6, 16, 128, 32, 32])
    arguments = parser.parse_args()
    if arguments.malloc == "kept":
        keep_heap()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    x = 0.5 + torch.randn(arguments.shape)
    entry = {"shape": arguments.shape, "rounds": arguments.rounds, **environment(x.device)}
    entry["neurons"] = {name: measure(name, x, arguments.rounds) for name in ("tcja", "dta")}
    report(entry)
    RESULT.parent.mkdir(exist_ok=True)
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    write_text(RESULT, json.dumps({**results, arguments.malloc: entry}, indent=1) + "\n")


def report(entry: dict[str, Any]) -> None:
    for name, result in entry["neurons"].items():
        for direction in ("forward", "forward+backward"):
            print(f"{name}, {direction}")
            for case, row in result[direction].items():
                print(
                    f"  {case:13}{row['ms_median']:9.2f} ms ({row['ms_q1']:.2f} to {row['ms_q3']:.2f})"
                    f"{row['speedup_median']:8.2f}x{row['GB/s']:8.1f} GB/s"
                )


if __name__ == "__main__":
    main()
