"""Which of an operation's kernels runs: the fastest that takes the input, or the one asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from saccade.errors import unknown_name
from saccade.ops.plumbing.ran import note_ran, say_once


@dataclass(frozen=True)
class Backend:
    """A kernel; why it cannot take an input, and why it cannot run on this machine at all (None: it can).

    `unsupported` is asked at every call, with what `choose` is given, and must cost nothing. `device` is where "auto"
    considers the kernel; None: everywhere.
    """

    kernel: Callable[..., Tensor]
    unsupported: Callable[..., str | None]
    unavailable: Callable[[], str | None]
    device: str | None = None


def choose(operation: str, backends: Mapping[str, Backend], backend: str, x: Tensor, *arguments: Any) -> str:
    """The name of the first of `backends` that takes x, or of the one asked for.

    Raises:
        ValueError: an unknown backend, or one asked for by name that cannot take this input.
    """
    for name, candidate in backends.items():
        if backend != name and (backend != "auto" or candidate.device not in (None, x.device.type)):
            continue
        refusal = candidate.unsupported(x, *arguments) or candidate.unavailable()
        if refusal is None:
            note_ran(name)
            return name
        if backend == name:
            raise ValueError(
                f"{operation} backend {name!r} cannot run here: {refusal}. Use backend='auto' or 'reference'."
            )
        if candidate.device == "cuda":
            say_once(f"{operation} runs in the slow reference, not in {name}: {refusal}.")
    raise unknown_name(f"{operation} backend", backend, ["auto", *backends])
