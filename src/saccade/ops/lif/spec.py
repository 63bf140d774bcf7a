"""The constants of a LIF neuron, shared by every backend."""

from __future__ import annotations

from dataclasses import dataclass, field

from saccade.ops.surrogate import Surrogate


@dataclass(frozen=True)
class LIFSpec:
    """What every backend needs to know besides the input, the decay and the gain.

    `reset="hard"` sets the potential to 0 after a spike, `"soft"` subtracts the threshold. `detach_reset` stops the
    gradient at the reset: the spike that resets is then a constant for backward.
    """

    threshold: float = 1.0
    reset: str = "hard"
    detach_reset: bool = False
    surrogate: Surrogate = field(default_factory=lambda: Surrogate("triangle", 1.0))

    def __post_init__(self) -> None:
        if self.reset not in ("hard", "soft"):
            raise ValueError(f"reset must be 'hard' or 'soft', not {self.reset!r}.")
