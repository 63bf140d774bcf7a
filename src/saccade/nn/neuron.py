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
from saccade.errors import unknown_name
from saccade.ops.lif import check_backend


class Neuron(nn.Module):
    """What every spiking neuron is: `step` takes a current and the state that the step before left."""

    def step(self, x_t: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One step: `(spikes_t, state)` from the current and the state that the last call returned (None: rest)."""
        raise NotImplementedError(f"{type(self).__name__} must implement step(x_t, state).")

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, ...] -> spikes [T, ...], from rest."""
        state, spikes = None, []
        for x_t in x:
            spikes_t, state = self.step(x_t, state)
            spikes.append(spikes_t)
        return torch.stack(spikes)


def neurons_of(model: nn.Module) -> dict[str, Neuron]:
    """The layers of spiking neurons by name; a neuron that is a part of another one is not a layer of its own."""
    found: dict[str, Neuron] = {}
    for name, module in model.named_modules():
        if isinstance(module, Neuron) and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return found


class LIF(Neuron):
    """Leaky integrate-and-fire neuron.

        u_t = decay * v_{t-1} + gain * x_t,   s_t = [u_t > threshold],   v_t = u_t * (1 - s_t)   (hard reset)

    or `v_t = u_t - threshold * s_t` with `reset="soft"`. Starts at v_0 = 0.

    Args:
        decay: how much of the potential survives a step, 0 to 1.
        gain: weight of the input. SpikingJelly's `LIFNode(tau)` is decay = 1 - 1/tau, gain = 1/tau: see `from_tau`.
        threshold: potential above which (strictly) the neuron fires.
        reset: "hard" or "soft".
        surrogate: derivative used in backward: a name ("triangle", "atan", "sigmoid", "rectangle", "tanh") or a
            `Surrogate`.
        detach_reset: stop the gradient at the reset.
        backend: "auto", "reference", or a kernel by name.
        inclusive: fire at the threshold already: s_t = [u_t >= threshold].
        reset_to: the potential after a spike, with the hard reset.
        detach_state: stop the gradient between the steps.

    The defaults are the neuron of DTA-SNN and of TCJA-SNN's TET variant; `LIF.published` has those of other papers.
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
        inclusive: bool = False,
        reset_to: float = 0.0,
        detach_state: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise ValueError(f"decay is the share of the potential that survives a step, 0 to 1, not {decay}.")
        self.decay = decay
        self.gain = gain
        self.spec = ops.LIFSpec(
            threshold, reset, detach_reset, ops.surrogate(surrogate), inclusive, reset_to, detach_state
        )
        self.backend = check_backend(backend)

    @classmethod
    def from_tau(cls, tau: float = 2.0, **kwargs: Any) -> LIF:
        """SpikingJelly's `LIFNode(tau, decay_input=True)`: decay 1 - 1/tau, gain 1/tau, ATan, detached reset."""
        return cls(1 - 1 / tau, 1 / tau, **{"surrogate": "atan", "detach_reset": True, **kwargs})

    @classmethod
    def published(cls, name: str, **changes: Any) -> LIF:
        """The neuron of a paper's released code: a name of `PUBLISHED_NEURONS`, and what to change, e.g. `backend`."""
        if name not in PUBLISHED_NEURONS:
            raise unknown_name("neuron", name, PUBLISHED_NEURONS)
        return cls(**{**PUBLISHED_NEURONS[name], **changes})

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
            + (", inclusive" if spec.inclusive else "")
            + (f", reset_to={spec.reset_to:g}" if spec.reset_to else "")
            + (", detach_state" if spec.detach_state else "")
        )


#: the neurons of released code, as arguments of `LIF`
PUBLISHED_NEURONS: dict[str, dict[str, Any]] = {
    # DTA-SNN, and TCJA-SNN's networks trained with TET
    "tet": {},
    # SpikingJelly's LIFNode(tau=2, detach_reset=True): Spikformer, QKFormer, Spike-driven Transformer
    "spikingjelly": {"gain": 0.5, "surrogate": "sigmoid", "detach_reset": True, "inclusive": True},
    # the same with ATan: TCJA-SNN, SMA
    "spikingjelly-atan": {"gain": 0.5, "surrogate": "atan", "detach_reset": True, "inclusive": True},
    # SEW-ResNet's integrate-and-fire neuron
    "if-atan": {"decay": 1.0, "surrogate": "atan", "detach_reset": True, "inclusive": True},
    # GAC-SNN's and Att-MS-ResNet's on ImageNet
    "msresnet": {"decay": 0.25, "threshold": 0.5, "surrogate": "rectangle", "detach_reset": True},
    # MA-SNN and TA-SNN: a neuron that fired goes on from the threshold, not from 0 (their parameter Vreset is unused)
    "masnn": {
        "decay": 0.3,
        "threshold": 0.3,
        "surrogate": ops.Surrogate("rectangle", 0.5),
        "inclusive": True,
        "reset_to": 0.3,
    },
    # FSTA-SNN: its v_th is 1, but u / v_th is compared with 0.5
    "fsta": {"decay": 0.25, "threshold": 0.5, "surrogate": "tanh"},
    # SCTFA-SNN, without the gate of its memory: see `SCTFALIF`
    "sctfa": {"threshold": 0.8, "surrogate": "atan"},
    # TIM: the potential is detached at every step, so that no gradient flows through time
    "tim": {"gain": 0.5, "surrogate": "sigmoid", "detach_reset": True, "inclusive": True, "detach_state": True},
}


class PLIF(LIF):
    """LIF with a learned time constant (Fang et al., ICCV 2021, arXiv 2007.05785).

        decay = 1 - sigmoid(w),   gain = sigmoid(w),   w learned, one per layer

    so that 1/tau = sigmoid(w) stays between 0 and 1. `tau` is the initial time constant, in steps. The input is not
    weighed, gain = 1, with `decay_input=False`.
    """

    def __init__(
        self,
        tau: float = 2.0,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str | ops.Surrogate = "atan",
        detach_reset: bool = True,
        backend: str = "auto",
        inclusive: bool = False,
        decay_input: bool = True,
    ) -> None:
        if not tau > 1:
            raise ValueError(f"PLIF's initial time constant must be above 1 step, but tau={tau}.")
        gain = 1 / tau if decay_input else 1.0
        super().__init__(1 - 1 / tau, gain, threshold, reset, surrogate, detach_reset, backend, inclusive)
        self.decay_input = decay_input
        self.w = nn.Parameter(torch.tensor(-math.log(tau - 1)))

    def _decay_and_gain(self) -> tuple[Tensor, Tensor]:
        leak = self.w.sigmoid()
        return 1 - leak, leak if self.decay_input else torch.ones_like(leak)

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
        inclusive: bool = False,
    ) -> None:
        super().__init__(1.0, 1.0, threshold, reset, surrogate, detach_reset, backend, inclusive)
