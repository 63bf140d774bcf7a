"""The leaky integrate-and-fire recurrence over a whole sequence, with a choice of backends.

`lif(x, decay, gain, spec, backend="auto")` picks the fastest kernel that supports the input. Every backend is one file
with a function of the signature of `reference.lif`, a function `unsupported(x, decay, gain, spec) -> str | None` that
says in a few words why it cannot take an input (and costs nothing, for it is asked at every call), and a function
`unavailable() -> str | None` that says why it cannot run on this machine. To add one, write the file and list it in
`BACKENDS`, fastest first, with the devices on which "auto" considers it.
"""

from __future__ import annotations

from torch import Tensor

from saccade.errors import unknown_name
from saccade.ops.lif import cpu, reference, triton
from saccade.ops.lif.reference import lif_step
from saccade.ops.lif.spec import LIFSpec
from saccade.ops.plumbing.dispatch import Backend, choose

__all__ = ["LIFSpec", "active_backends", "check_backend", "lif", "lif_step"]

BACKENDS: dict[str, Backend] = {
    "cpu": Backend(cpu.lif, cpu.unsupported, cpu.unavailable, "cpu"),
    "triton": Backend(triton.lif, triton.unsupported, triton.unavailable, "cuda"),
    "reference": Backend(reference.lif, lambda *_: None, lambda: None),
}


def check_backend(name: str) -> str:
    """`name` if it is "auto" or a backend's name, else a ValueError with the nearest names."""
    if name != "auto" and name not in BACKENDS:
        raise unknown_name("LIF backend", name, ["auto", *BACKENDS])
    return name


def active_backends() -> dict[str, str]:
    """For each backend, "active" or why it cannot run on this machine. What `saccade doctor` prints."""
    return {name: backend.unavailable() or "active" for name, backend in BACKENDS.items()}


def lif(x: Tensor, decay: float | Tensor, gain: float | Tensor, spec: LIFSpec, backend: str = "auto") -> Tensor:
    """Spikes of a LIF neuron that integrates `x` from rest.

    Args:
        x: currents, [T, ...], floating point.
        decay, gain: floats, or both 0-d tensors when they are learned.
        spec: threshold, reset and surrogate.
        backend: "auto" (fastest that supports the input) or one by name.

    Returns:
        Spikes (0 or 1) in x's shape and dtype.

    Raises:
        ValueError: no time axis, decay and gain of different kinds, unknown backend, or a backend asked for by name
            that cannot take this input.
    """
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(
            f"LIF takes floating-point currents [T, B, ...] with time first, but got {list(x.shape)} of {x.dtype}."
        )
    kinds = ["a number" if not isinstance(p, Tensor) else f"a tensor {list(p.shape)}" for p in (decay, gain)]
    if kinds not in (["a number"] * 2, ["a tensor []"] * 2):
        raise ValueError(
            f"LIF takes decay and gain as two numbers or as two 0-d tensors, but got {kinds[0]} and {kinds[1]}."
        )
    chosen = choose("LIF", BACKENDS, backend, x, decay, gain, spec)
    return BACKENDS[chosen].kernel(x, decay, gain, spec)
