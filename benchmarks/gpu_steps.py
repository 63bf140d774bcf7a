"""Operations, modules and whole training steps: the plain way, SpikingJelly's neuron, and ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gpu_clock import Clock, share
from saccade import ops
from saccade.bench.cases import Case, multiply_adds
from saccade.bench.peers import find_peers
from saccade.bench.plain import loop, plain
from saccade.nn import LIF, GatedNeuron, create_attention
from saccade.ops.norm_lif import norm_lif

PLAIN, REFERENCE = "plain float32", "reference float32"
NETWORKS = {
    "msresnet18 + DTA": Case("msresnet18", "dta", steps=6, batch=64, size=32, channels=3, frames=False),
    "vggsnn + TCJA": Case("vggsnn", "tcja", steps=10, batch=32, size=48, channels=2, frames=True),
    "dvsgesture_net + TCJA": Case("dvsgesture_net", "tcja", steps=20, batch=8, size=128, channels=2, frames=True),
}
MODULES = {"dta": (6, 64, 64, 32), "tcja": (10, 32, 256, 12)}  # T, B, C, side

Step = Callable[[], object]


def both(function: Callable[..., Tensor], *leaves: Tensor) -> Step:
    """Forward and backward of a function of tensors that need gradients."""
    with torch.no_grad():
        grad = torch.randn_like(function(*leaves))
    return lambda: torch.autograd.grad(function(*leaves), leaves, grad, allow_unused=True)


def time_lif(clock: Clock, copy_GBs: float) -> dict[str, Any]:
    """Forward and forward + backward; `of_copy` counts every tensor that must be moved once: 2, and 2 + 3."""
    shape = (3, 2, 4, 4, 4) if clock.tiny else (6, 64, 128, 32, 32)
    result: dict[str, Any] = {"shape": list(shape)}
    for dtype in (torch.float32, torch.bfloat16):
        x = (0.5 + torch.randn(shape, device=clock.device)).to(dtype)
        neuron = LIF.from_tau(2.0)  # SpikingJelly's LIFNode(2): ATan, detached reset
        peers, missing = find_peers(x, ("spikingjelly",) if clock.tiny else ("spikingjelly", "spikingjelly compiled"))
        ways = {"plain loop": partial(loop, neuron), **peers}
        for backend in ("reference", "triton"):
            ways[backend] = partial(ops.lif, decay=neuron.decay, gain=neuron.gain, spec=neuron.spec, backend=backend)
        leaf = x.clone().requires_grad_()
        entry: dict[str, Any] = {"missing": missing}
        for direction, tensors in (("forward", 2), ("forward+backward", 5)):
            cases = {
                name: both(way, leaf) if tensors == 5 else partial(_without_grad, way, x) for name, way in ways.items()
            }
            entry[direction] = clock.compete(cases, "plain loop")
            for row in entry[direction].values():
                share(row, tensors * x.nbytes / 1e9, copy_GBs, "GB/s", "of_copy")
        result[str(dtype).removeprefix("torch.")] = entry
    return result


def _without_grad(way: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.no_grad():
        return way(x)


def time_operations(clock: Clock, copy_GBs: float) -> dict[str, Any]:
    """Batch norm + LIF, forward and backward, in bfloat16 and channels last."""
    T, B, C, side = (2, 2, 4, 4) if clock.tiny else (6, 64, 128, 32)
    x = torch.randn(T * B, C, side, side, device=clock.device, dtype=torch.bfloat16)
    x = x.to(memory_format=torch.channels_last).unflatten(0, (T, B)).requires_grad_()
    norm, spec = nn.BatchNorm2d(C, device=clock.device), ops.LIFSpec()

    def apart(backend: str, current: Tensor) -> Tensor:
        return ops.lif(norm(current.flatten(0, 1)).unflatten(0, (T, B)), 0.5, 1.0, spec, backend)

    norms = {
        "batch norm, then the reference": both(partial(apart, "reference"), x),
        "batch norm, then triton": both(partial(apart, "triton"), x),
        "one kernel": both(lambda current: norm_lif(current, norm, 0.5, 1.0, spec, "triton"), x),
    }
    found = {"norm_lif": clock.compete(norms, "batch norm, then the reference")}
    # tensors moved at least: x, spikes; x, g, gradient, and again x, gradient twice in the second pass of the norm
    for row in found["norm_lif"].values():
        share(row, 8 * x.nbytes / 1e9, copy_GBs, "GB/s", "of_copy")
    return found


def time_modules(clock: Clock) -> dict[str, Any]:
    """A neuron with its gate, forward and backward: float32 in the reference, bfloat16 in Triton."""
    found = {}
    for name, size in MODULES.items():
        T, B, C, side = (2, 2, 4, 4) if clock.tiny else size
        x = torch.randn(T, B, C, side, side, device=clock.device, requires_grad=True)
        cases: dict[str, Step] = {}
        for way, backend, dtype in ((REFERENCE, "reference", None), ("ours bfloat16", "triton", torch.bfloat16)):
            module = GatedNeuron(LIF(backend=backend), create_attention(name, C, T)).to(clock.device)
            cases[way] = partial(_module_step, clock, module, x, dtype)
        found[name] = clock.compete(cases, REFERENCE)
    return found


def _module_step(clock: Clock, module: nn.Module, x: Tensor, dtype: torch.dtype | None) -> None:
    with _autocast(clock, dtype):
        loss = module(x).float().square().mean()
    loss.backward()
    module.zero_grad(set_to_none=True)
    x.grad = None


def _autocast(clock: Clock, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    # without the cache of cast weights, which a captured graph must not share with what runs outside of it
    return nullcontext() if dtype is None else torch.autocast(clock.device.type, dtype, cache_enabled=False)


def time_networks(clock: Clock, bf16_TFLOPs: float, compiled: bool) -> dict[str, Any]:
    """Whole training steps: cross-entropy, SGD with momentum. A step counts as three forward passes."""
    found: dict[str, Any] = {}
    for name, case in NETWORKS.items():
        if clock.tiny:
            case = replace(case, steps=2, batch=2, size=32 if case.size > 48 else 16, width=0.0625)
        macs = multiply_adds(replace(case, batch=1))
        ways = [PLAIN, REFERENCE, "ours float32", "ours bfloat16"]
        ways += ["ours bfloat16, graph"] if clock.on_gpu else []
        ways += ["ours bfloat16, compiled"] if compiled else []
        rows = clock.compete({way: _training(clock, case, way) for way in ways}, PLAIN)
        for way, row in rows.items():
            share(row, 6 * macs * case.batch / 1e12, bf16_TFLOPs, "TFLOP/s", "of_bfloat16_matmul")
            if "ms_median" in row:
                row["peak_MB"] = None if way.endswith("graph") else row["peak_MB"]  # a graph's memory is its own pool
                row["samples_per_s"] = round(1e3 * case.batch / row["ms_median"], 1)
        found[name] = {"case": vars(case), "multiply_adds_per_sample": macs, "training": rows}
    return found


def _training(clock: Clock, case: Case, way: str) -> Step:
    """One training step. The network is built at the first call, so that its weights count in no one's peak memory."""
    ready: list[Step] = []

    def step() -> object:
        if not ready:
            ready.append(_build_step(clock, case, way))
        return ready[0]()

    return step


def _build_step(clock: Clock, case: Case, way: str) -> Step:
    ours = way.startswith("ours")
    dtype = torch.bfloat16 if "bfloat16" in way else None
    model: Any = replace(case, batch=2).build("reference").to(clock.device)  # its norms see a batch, on the CPU
    for module in model.modules():
        if isinstance(module, LIF):
            module.backend = "triton" if ours else "reference"
    run: Callable[[Tensor], Tensor] = plain(model) if way == PLAIN else model
    if ours and clock.on_gpu:
        model.to(memory_format=torch.channels_last)
    if "compiled" in way:
        run = torch.compile(model, dynamic=False)
    x = case.input().to(clock.device)
    labels = torch.arange(case.batch, device=clock.device) % model.num_classes
    fused: dict[str, Any] = {"fused": True} if ours and clock.on_gpu else {}
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, **fused)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with _autocast(clock, dtype):
            logits = run(x)
        loss = nn.functional.cross_entropy(logits.float().mean(0), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return _captured(step) if "graph" in way else step


def _captured(step: Step) -> Step:
    """The step as a CUDA graph: no work of the CPU is left in it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
