"""The LIF recurrence as one Triton kernel per direction, for NVIDIA GPUs.

The maths, the roundings and the saved tensor (x alone) are those of `reference.py`: the spikes are equal bit for bit.
Storage may be float32, bfloat16 or float16; the membrane is float32 in any case. Backward computes the potentials again
in registers, so that memory is read and written once: forward moves two tensors, backward three.

Both directions are torch operators (`torch.ops.saccade.lif` and `.lif_backward`): `torch.compile`, CUDA graphs,
autocast and FLOP counters see one operation each. Without a GPU they run in Triton's interpreter, slowly, if the
variable TRITON_INTERPRET=1 was set before Triton was imported: that is how they are tested.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from saccade.ops.lif.spec import LIFSpec
from saccade.ops.plumbing.layout import empty_as, laid_out_as, packed
from saccade.ops.surrogate import IN_KERNELS

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
MAX_STEPS = 64  # every step's potential has a register of its own in backward
WARPS = 4
KINDS = {kind: number for number, kind in enumerate(IN_KERNELS)}  # triton_kernel's constants

_problems: list[str | None] = []


def unavailable() -> str | None:
    """Why this machine cannot run the kernels at all, or None."""
    if not _problems:
        _problems.append(_find_problem())
    return _problems[0]


# torch.compile asks while it traces, and takes the answer as a constant instead of tracing the import of Triton
unavailable._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _find_problem() -> str | None:
    try:
        import triton  # noqa: F401
    except ModuleNotFoundError:
        return "Triton is not installed (pip install triton)"
    except Exception as error:  # a Triton that does not fit torch or the driver: the type differs from case to case
        return f"Triton cannot be imported ({error})"
    if interpreted():
        return None
    if not torch.cuda.is_available():
        return "there is no CUDA GPU, and Triton's interpreter is off (TRITON_INTERPRET=1 turns it on)"
    if torch.version.hip is not None:
        return "the kernels are not tested on AMD GPUs"
    if torch.cuda.get_device_capability() < (7, 0):
        return f"Triton needs compute capability 7.0, and {torch.cuda.get_device_name()} has less"
    return None


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter, on tensors of the CPU too."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on")


def refusal(x: Tensor) -> str | None:
    """Why no Triton kernel of ours takes a sequence like x, or None."""
    if x.device.type != "cuda" and not interpreted():
        return f"the input is on {x.device}, and Triton's interpreter is off (TRITON_INTERPRET=1 turns it on)"
    if x.dtype not in DTYPES:
        return f"the input is {x.dtype}, not float32, bfloat16 or float16"
    if len(x) > MAX_STEPS:
        return f"the input has {len(x)} steps, and a kernel's registers hold {MAX_STEPS}"
    if x.numel() >= 1 << 31:
        return f"the input has {x.numel():,} elements, and a kernel counts to 2^31"
    if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
        return "torch is transforming the call (vmap, grad), and the kernel has no rule for it"
    return None


def unsupported(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> str | None:
    """Why the kernel cannot take this input, or None."""
    return spec.beyond_kernels() or refusal(x)


def lif(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec) -> Tensor:
    """The whole sequence from rest: `x` [T, ...] -> spikes [T, ...] of x's dtype, each step laid out as x's."""
    learned = isinstance(decay, Tensor)
    return _lif(
        x,
        decay if learned else None,
        gain if learned else None,
        0.0 if learned else decay,
        0.0 if learned else gain,
        *flat_spec(spec),
    )


def flat_spec(spec: LIFSpec) -> tuple[float, float, bool, bool, str, float, float]:
    """A spec as arguments that a torch operator takes."""
    s = spec.surrogate
    level = spec.level(torch.float32)
    return spec.threshold, level, spec.reset == "hard", spec.detach_reset, s.kind, s.scale, s.center


SPEC = "float threshold, float level, bool hard, bool detach, str kind, float scale, float center"
_NEURON = f"Tensor? decay_at, Tensor? gain_at, float decay, float gain, {SPEC}"


@torch.library.custom_op("saccade::lif", mutates_args=(), schema=f"(Tensor x, {_NEURON}) -> Tensor")
def _lif(
    x: Tensor, decay_at: Any, gain_at: Any, decay: Any, gain: Any, threshold: Any, level: Any, hard: Any, detach: Any,
    *_: Any,
) -> Tensor:  # fmt: skip
    from saccade.ops.lif import triton_kernel

    x = packed(x)
    spikes = empty_as(x)
    neurons = x.shape[1:].numel()
    if x.numel():
        block = WARPS * 32 * max(1, 16 // x.element_size())
        learned = decay_at is not None
        with device_of(x):
            triton_kernel.forward[(-(-neurons // block),)](
                x, x.stride(0), spikes, *((decay_at, gain_at) if learned else (x, x)), decay, gain, threshold, level,
                neurons, STEPS=len(x), HARD=hard, LEARNED=learned, BLOCK=block, num_warps=WARPS, enable_fp_fusion=False,
            )  # fmt: skip
    return spikes


@torch.library.custom_op(
    "saccade::lif_backward", mutates_args=(), schema=f"(Tensor grad, Tensor x, {_NEURON}) -> (Tensor, Tensor)"
)
def _lif_backward(
    grad: Tensor, x: Tensor, decay_at: Any, gain_at: Any, decay: Any, gain: Any, threshold: Any, level: Any, hard: Any,
    detach: Any, kind: Any, scale: Any, center: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    from saccade.ops.lif import triton_kernel

    x = packed(x)
    grad = laid_out_as(grad, x)
    grad_x = empty_as(x)
    neurons = x.shape[1:].numel()
    block = backward_block(len(x), x.element_size())
    programs = -(-neurons // block)
    learned = decay_at is not None
    shares = torch.zeros((programs if learned else 0, 2), dtype=torch.float32, device=x.device)
    if x.numel():
        with device_of(x):
            triton_kernel.backward[(programs,)](
                x, x.stride(0), grad, grad.stride(0), grad_x, shares if learned else x,
                *((decay_at, gain_at) if learned else (x, x)), decay, gain, threshold, level, center, scale, neurons,
                STEPS=len(x), HARD=hard, ATTACHED=not detach, KIND=KINDS[kind], LEARNED=learned, BLOCK=block,
                num_warps=WARPS, enable_fp_fusion=False,
            )  # fmt: skip
    return grad_x, shares.sum(0)


def backward_block(steps: int, element_size: int) -> int:
    """Neurons per program: a thread has as many as 16 bytes hold, fewer where their potentials fill its registers."""
    most = max(1, min(16 // element_size, MAX_STEPS // steps if steps else 1))
    return WARPS * 32 * (1 << (most.bit_length() - 1))


def device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Kernels are launched on the current device: make it x's."""
    return torch.cuda.device(x.device) if x.device.type == "cuda" else nullcontext()


@_lif.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return empty_as(packed(x))


@_lif_backward.register_fake
def _(grad: Tensor, x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return empty_as(packed(x)), x.new_empty(2, dtype=torch.float32)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, decay_at, gain_at, *ctx.constants = inputs
    ctx.save_for_backward(x, decay_at, gain_at)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, decay_at, gain_at = ctx.saved_tensors
    grad_x, shares = _lif_backward(grad, x, decay_at, gain_at, *ctx.constants)
    learned = (None, None) if decay_at is None else (shares[0].to(decay_at.dtype), shares[1].to(gain_at.dtype))
    return grad_x, *learned, *[None] * len(ctx.constants)


_lif.register_autograd(_differentiate, setup_context=_setup_context)
