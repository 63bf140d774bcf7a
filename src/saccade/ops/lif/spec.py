"""The constants of a LIF neuron, shared by every backend."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from saccade.ops.surrogate import IN_KERNELS, Surrogate


@dataclass(frozen=True)
class LIFSpec:
    """What every backend needs to know besides the input, the decay and the gain.

    `reset="hard"` sets the potential to `reset_to` after a spike, `"soft"` subtracts the threshold. `detach_reset`
    stops the gradient at the reset: the spike that resets is then a constant for backward. `detach_state` stops it at
    every step: nothing flows back through time. An `inclusive` neuron fires at the threshold already.
    """

    threshold: float = 1.0
    reset: str = "hard"
    detach_reset: bool = False
    surrogate: Surrogate = field(default_factory=lambda: Surrogate("triangle", 1.0))
    inclusive: bool = False
    reset_to: float = 0.0
    detach_state: bool = False

    def __post_init__(self) -> None:
        if self.reset not in ("hard", "soft"):
            raise ValueError(f"reset must be 'hard' or 'soft', not {self.reset!r}.")
        if self.reset_to and self.reset == "soft":
            raise ValueError(f"A soft reset subtracts the threshold, so reset_to={self.reset_to} would do nothing.")
        single = float(np.nextafter(np.float32(self.threshold), np.float32(-np.inf)))
        below = {torch.float32: single, torch.float64: math.nextafter(self.threshold, -math.inf)}
        object.__setattr__(self, "_below", below)  # computed here, where torch.compile does not look

    def level(self, dtype: torch.dtype) -> float:
        """What a potential of this dtype (float32 or float64) must exceed, strictly, to fire.

        "At or above the threshold" is "above the number before it": so kernels compare one way alone.
        """
        below: dict[torch.dtype, float] = self._below  # type: ignore[attr-defined]
        return below[dtype] if self.inclusive else self.threshold

    def beyond_kernels(self) -> str | None:
        """Why no kernel but the reference computes this neuron, or None."""
        if self.surrogate.kind not in IN_KERNELS:
            return f"the surrogate {self.surrogate.kind!r} has no compiled form"
        if self.reset_to:
            return f"the reset to {self.reset_to:g} has no compiled form"
        if self.detach_state:
            return "a potential that is detached at every step has no compiled form"
        return None
