"""Spiking neurons without hidden state.

`neuron(x)` runs a whole sequence [T, ...] from rest; `neuron.step(x_t, state)` streams. There is no reset to forget:
the only state is the one you hold in your hand.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from saccade import ops
from saccade.ops.lif import check_backend


class LIF(nn.Module):
    """Leaky integrate-and-fire neuron.

        u_t = decay * v_{t-1} + gain * x_t,   s_t = [u_t > threshold],   v_t = u_t * (1 - s_t)   (hard reset)

    or `v_t = u_t - threshold * s_t` with `reset="soft"`. Starts at v_0 = 0.

    Args:
        decay: how much of the potential survives a step, 0 to 1.
        gain: weight of the input. SpikingJelly's `LIFNode(tau)` is decay = 1 - 1/tau, gain = 1/tau: see `from_tau`.
        threshold: potential above which (strictly) the neuron fires.
        reset: "hard" or "soft".
        surrogate: derivative used in backward: a name ("triangle", "atan", "sigmoid", "rectangle") or a `Surrogate`.
        detach_reset: stop the gradient at the reset.
        backend: "auto", "reference", or a kernel by name.

    The defaults are the neuron of DTA-SNN and of TCJA-SNN's TET variant.
    """

    def __init__(
        self,
        decay: float = 0.5,
        gain: float = 1.0,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str | ops.Surrogate = "triangle",
        detach_reset: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise ValueError(f"decay is the share of the potential that survives a step, 0 to 1, not {decay}.")
        self.decay = decay
        self.gain = gain
        self.spec = ops.LIFSpec(threshold, reset, detach_reset, ops.surrogate(surrogate))
        self.backend = check_backend(backend)

    @classmethod
    def from_tau(cls, tau: float = 2.0, **kwargs: Any) -> LIF:
        """SpikingJelly's `LIFNode(tau, decay_input=True)`: decay 1 - 1/tau, gain 1/tau, ATan, detached reset."""
        return cls(1 - 1 / tau, 1 / tau, **{"surrogate": "atan", "detach_reset": True, **kwargs})

    def _decay_and_gain(self) -> tuple[float | Tensor, float | Tensor]:
        return self.decay, self.gain

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, ...] -> spikes [T, ...], from rest."""
        return ops.lif(x, *self._decay_and_gain(), self.spec, self.backend)

    def step(self, x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One step: `(spikes_t, state)` from the current and the state that the last call returned (None: rest)."""
        return ops.lif_step(x_t, state, *self._decay_and_gain(), self.spec)

    def extra_repr(self) -> str:
        spec = self.spec
        return f"decay={self.decay:.4g}, gain={self.gain:.4g}, threshold={spec.threshold:g}, reset={spec.reset}, " + (
            f"surrogate={spec.surrogate.kind}({spec.surrogate.scale:g}), detach_reset={spec.detach_reset}"
        )


class PLIF(LIF):
    """LIF with a learned time constant (Fang et al., ICCV 2021, arXiv 2007.05785).

        decay = 1 - sigmoid(w),   gain = sigmoid(w),   w learned, one per layer

    so that 1/tau = sigmoid(w) stays between 0 and 1. `tau` is the initial time constant, in steps.
    """

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str | ops.Surrogate = "atan",
        detach_reset: bool = True,
        backend: str = "auto",
    ) -> None:
        if not tau > 1:
            raise ValueError(f"PLIF's initial time constant must be above 1 step, but tau={tau}.")
        super().__init__(1 - 1 / tau, 1 / tau, threshold, reset, surrogate, detach_reset, backend)
        self.w = nn.Parameter(torch.tensor(-math.log(tau - 1)))

    def _decay_and_gain(self) -> tuple[Tensor, Tensor]:
        gain = self.w.sigmoid()
        return 1 - gain, gain

    def extra_repr(self) -> str:
        return "learned decay, initially " + super().extra_repr()


class IF(LIF):
    """Integrate-and-fire neuron: no leak, decay = gain = 1."""

    def __init__(
        self,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str | ops.Surrogate = "atan",
        detach_reset: bool = True,
        backend: str = "auto",
    ) -> None:
        super().__init__(1.0, 1.0, threshold, reset, surrogate, detach_reset, backend)
