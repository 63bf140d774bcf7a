"""The LIF recurrence as one fused pass per direction on the CPU, compiled by numba.

The maths, the roundings and the saved tensor (x alone) are those of `reference.py`: spikes are equal bit for bit. Of
bfloat16 the potentials are float32, as there.
Forward reads x and writes the spikes; backward reads x and the incoming gradient and writes the gradient of x. The
potentials never reach main memory.

The first call compiles for a few seconds per direction and dtype. The result is kept on disk, where later processes
find it in a fraction of a second. `torch.get_num_threads()` threads share the work, except of small inputs and in
forked processes (the workers of a DataLoader), where OpenMP must not be entered again.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from saccade.compiled import unavailable
from saccade.ops.lif.spec import LIFSpec
from saccade.ops.plumbing.bfloat import as_array, computed_in
from saccade.ops.plumbing.layout import packed, step_strides, strides_as
from saccade.ops.plumbing.reuse import empty_strided
from saccade.ops.plumbing.threads import cut, parts_of, run_parts
from saccade.ops.surrogate import IN_KERNELS

__all__ = ["constants", "lif", "unavailable", "unsupported"]

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
BLOCK = 1024  # neurons, a power of 2
BLOCK_BYTES = 1 << 18  # of a block's potentials over all steps: they should stay in a core's second-level cache


def unsupported(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> str | None:
    """Why the kernel cannot take this input, or None."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active():
        return "torch is tracing or transforming the call, and the kernel is not made of torch operations"
    if torch._C._len_torch_dispatch_stack() > 0:
        return "a dispatch mode is watching torch's operations, and the kernel is not made of them"
    if x.device.type != "cpu":
        return f"the input is on {x.device}"
    if type(x) not in (Tensor, torch.nn.Parameter) or x.layout != torch.strided or x.is_neg():
        return f"the input is a {type(x).__name__} of layout {x.layout}, not a plain dense tensor"
    if x.dtype not in DTYPES:
        return f"the input is {x.dtype}, not float32, float64 or bfloat16"
    return spec.beyond_kernels()


def lif(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> Tensor:
    """The whole sequence from rest: `x` [T, ...] -> spikes [T, ...] of x's dtype, each step laid out as x's."""
    return _FusedLIF.apply(x, decay, gain, spec)


class _FusedLIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> Tensor:
        x = packed(x)
        learned = (decay, gain) if isinstance(decay, Tensor) else ()
        ctx.save_for_backward(x, *learned)
        ctx.constants = constants(float(decay), float(gain), spec, x.dtype)
        ctx.spec = spec
        spikes = _empty_as(x)
        if x.numel():
            _run("forward", x, BLOCK, *_flat(x), _flat(spikes)[0], len(x), ctx.constants, spec.reset == "hard")
        return spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *learned = ctx.saved_tensors
        spec: LIFSpec = ctx.spec
        if step_strides(grad) != step_strides(x):
            grad = _empty_as(x).copy_(grad)
        grad_x = _empty_as(x)
        block = BLOCK
        while block > 64 and len(x) * block * ctx.constants.itemsize > BLOCK_BYTES:
            block //= 2
        shares = np.zeros((_blocks(x, block) if learned else 0, 2))
        if x.numel():
            flags = spec.reset == "hard", not spec.detach_reset, IN_KERNELS.index(spec.surrogate.kind)
            arrays = *_flat(x), *_flat(grad), _flat(grad_x)[0], shares
            _run("backward", x, block, *arrays, len(x), ctx.constants, *flags)
        if not learned:
            return grad_x, None, None, None
        grad_decay, grad_gain = (p.new_tensor(total) for p, total in zip(learned, shares.sum(0), strict=True))
        return grad_x, grad_decay, grad_gain, None


def _empty_as(x: Tensor) -> Tensor:
    """Not initialised; the steps one after the other, each laid out as x's."""
    return empty_strided(x.shape, strides_as(x), x.dtype)


def _flat(x: Tensor) -> tuple[np.ndarray[Any, Any], int]:
    """x as flat memory, and the distance from a step to the next (0 if one static image stands for all steps)."""
    stride = x.stride(0)
    length = (len(x) - 1) * stride + x.shape[1:].numel()
    return as_array(x.detach().as_strided((length,), (1,))), stride


@lru_cache(maxsize=256)
def constants(decay: float, gain: float, spec: LIFSpec, dtype: torch.dtype) -> np.ndarray[Any, Any]:
    """What the loops multiply with, rounded once to the type that they compute in, as torch rounds a Python number."""
    dtype = computed_in(dtype)
    a = spec.surrogate.scale
    scale, height = {
        "triangle": (a, 1 / a**2),
        "atan": (math.pi / 2 * a, a / 2),
        "sigmoid": (a, a),
        "rectangle": (a / 2, 1 / a),
    }[spec.surrogate.kind]
    values = [decay, gain, spec.threshold, spec.level(dtype), spec.surrogate.center, scale, height]
    return np.array(values, np.float32 if dtype == torch.float32 else np.float64)


def _blocks(x: Tensor, block: int) -> int:
    return math.ceil(x.shape[1:].numel() / block)


def _run(direction: str, x: Tensor, block: int, *arguments: Any) -> None:
    """Run a loop of cpu_kernel over all blocks."""
    from saccade.ops.lif import cpu_kernel

    loop, blocks = getattr(cpu_kernel, direction), _blocks(x, block)
    parts = parts_of(x.numel(), blocks)
    run_parts(parts, lambda part: loop(*arguments, block, *cut(blocks, part, parts)))
