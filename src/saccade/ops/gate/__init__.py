"""Gating spikes by a sigmoid: `gate(spikes, a, b=None)` is sigmoid(a * b) * spikes, as TCJA and DTA end.

In plain PyTorch that is three passes over memory and three saved tensors; in Triton one pass, and the gate is computed
again in backward.
"""

from __future__ import annotations

from torch import Tensor

from saccade.errors import unknown_name
from saccade.ops.gate import triton
from saccade.ops.lif import triton as lif_triton
from saccade.ops.ran import note_ran, say_once

BACKENDS = ("triton", "reference")


def gate(spikes: Tensor, a: Tensor, b: Tensor | None = None, backend: str = "auto") -> Tensor:
    """sigmoid(a * b) * spikes.

    Args:
        spikes: [T, B, C, H, W].
        a: the score, in the spikes' shape, or one per plane, [T, B, C, 1, 1].
        b: a second factor of the score, in the spikes' shape; None is 1. Needs an `a` in that shape.
        backend: "auto" (Triton on a GPU, where it takes the input), "triton" or "reference".

    Returns:
        Gated spikes, in the spikes' shape; in Triton in their dtype too, in the reference in the promoted one.

    Raises:
        ValueError: shapes that do not fit, an unknown backend, or Triton asked for where it cannot run.
    """
    planes = [*spikes.shape[:3], 1, 1]
    if spikes.ndim != 5 or not (a.shape == spikes.shape or (b is None and list(a.shape) == planes)):
        raise ValueError(
            f"gate takes spikes [T, B, C, H, W] and scores in that shape, or one score [T, B, C, 1, 1], but got "
            f"{list(spikes.shape)} and {list(a.shape)}."
        )
    if b is not None and b.shape != spikes.shape:
        raise ValueError(f"gate takes a second factor in the spikes' shape {list(spikes.shape)}, not {list(b.shape)}.")
    if backend not in ("auto", *BACKENDS):
        raise unknown_name("backend of gate", backend, ["auto", *BACKENDS])
    if backend == "triton" or (backend == "auto" and spikes.device.type == "cuda"):
        refusal = lif_triton.refusal(spikes) or lif_triton.unavailable()
        if refusal is None:
            note_ran("triton")
            return triton.gate(spikes, a, b)
        if backend == "triton":
            raise ValueError(f"gate in Triton cannot run here: {refusal}. Use backend='auto' or 'reference'.")
        say_once(f"Gates run in the slow reference, not in triton: {refusal}.")
    note_ran("reference")
    return (a if b is None else a * b).sigmoid() * spikes
