"""What the attention modules do: their gates, and how far these are from doing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saccade.models.network import SpikingNetwork
from saccade.nn.attention import Attention, NoAttention
from saccade.probe.hooks import probed
from saccade.tables import Rows

#: axes of [T, B, C, H, W] by name
AXES = {"time": (0,), "sample": (1,), "channel": (2,), "space": (3, 4)}


@dataclass(frozen=True)
class Gate:
    """The gate of one attention module in one forward pass."""

    layer: str
    #: name of the module's class
    kind: str
    placement: str
    #: as the module computed it; broadcasts to `shape`
    values: Tensor
    #: [T, B, C, H, W] of what it multiplies
    shape: tuple[int, ...]

    def matrix(self, sample: int | None = None) -> Tensor:
        """T x C: the mean over height and width, of one sample, or over the batch (None)."""
        return self._of(sample).mean(dim=(1, 3, 4)).expand(self.shape[0], self.shape[2])

    def space(self, sample: int | None = None) -> Tensor | None:
        """[T, H, W]: the mean over channels, of one sample or over the batch; None for a gate without space."""
        T, _, _, H, W = self.shape
        if self.values.shape[3] * self.values.shape[4] == 1:
            return None
        return self._of(sample).mean(dim=(1, 2)).expand(T, H, W)

    def deviation(self) -> float:
        """How far the gate is from doing nothing: its standard deviation over all entries, relative to its mean.

            deviation = sqrt(mean over t, b, c, h, w of (g - mean g)^2) / |mean g|

        0 is a constant gate, which the next layer's weights could absorb: it attends to nothing. A gate that halves
        what half of the neurons say has 1/3; one that switches half of them off, 1.
        """
        mean, values = self.values.mean(), self.values
        return _ratio((values - mean).square().mean().sqrt(), mean)

    def deviation_by(self) -> dict[str, float]:
        """The same number for the gate's means along one axis alone: "time", "sample", "channel", "space".

        Along "channel" and "time" a gate can differ without looking at its input; "sample" is 0 if it never does look.
        """
        found = {}
        for name, axes in AXES.items():
            others = tuple(i for i in range(5) if i not in axes)
            marginal = self.values.mean(dim=others)
            found[name] = _ratio(marginal.std(correction=0), self.values.mean())
        return found

    def summary(self) -> dict[str, Any]:
        """Numbers as JSON."""
        return {
            "layer": self.layer,
            "kind": self.kind,
            "placement": self.placement,
            "gate_shape": list(self.values.shape),
            "shape": list(self.shape),
            "mean": float(self.values.mean()),
            "min": float(self.values.min()),
            "max": float(self.values.max()),
            "deviation": self.deviation(),
            "deviation_by": self.deviation_by(),
        }

    def cells(self) -> dict[str, str]:
        """A row of a table; deviations along single axes by the names of the axes."""
        found = self.summary()
        numbers = {"mean": "mean", "least": "min", "greatest": "max", "deviation": "deviation"}
        return {
            "gate": self.layer,
            "kind": self.kind,
            **{title: f"{found[key]:.4f}" for title, key in numbers.items()},
            **{axis: f"{found['deviation_by'][axis]:.4f}" for axis in ("time", "channel", "sample", "space")},
        }

    def _of(self, sample: int | None) -> Tensor:
        if sample is None or self.values.shape[1] == 1:
            return self.values
        return self.values[:, sample : sample + 1]


@torch.no_grad()
def read_gates(model: SpikingNetwork, x: Tensor) -> Rows[Gate]:
    """The gates of a forward pass, in the order of the network; places without attention are left out.

    Args:
        model: mode and hooks are as before afterwards.
        x: images [B, C, H, W] or a sequence [T, B, C, H, W].
    """
    found: Rows[Gate] = Rows()

    def reader(name: str) -> Any:
        def read(module: Attention, inputs: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> None:
            gate = module.gate(*inputs, **kwargs)
            found.append(Gate(name, type(module).__name__, module.placement, gate, tuple(output.shape)))

        return read

    with probed(model) as handles:
        for name, module in attentions(model).items():
            handles.append(module.register_forward_hook(reader(name), with_kwargs=True))
        model(x)
    return found


@torch.no_grad()
def gate_effect(model: SpikingNetwork, x: Tensor) -> dict[str, float] | None:
    """What the network loses when every gate is replaced by its own mean over the batch, one number for each.

    Returns:
        "logits_changed": |difference| / |logits| over the batch, of the means over steps (Euclidean norms);
        "predictions_changed": share of samples whose predicted class changes. None without attention.
    """
    modules = attentions(model)
    if not modules:
        return None

    def flatten(module: Attention, inputs: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor) -> Tensor:
        return module.gate(*inputs, **kwargs).mean() * inputs[0]

    with probed(model) as handles:
        logits = model(x).mean(0)
        for module in modules.values():
            handles.append(module.register_forward_hook(flatten, with_kwargs=True))
        without = model(x).mean(0)
    return {
        "logits_changed": _ratio((without - logits).norm(), logits.norm()),
        "predictions_changed": float((without.argmax(1) != logits.argmax(1)).float().mean()),
    }


def attentions(model: nn.Module) -> dict[str, Attention]:
    """The attention modules that a network applies, by name, without those that do nothing and those inside others."""
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Attention) and not isinstance(module, NoAttention)
    }
    return {name: m for name, m in found.items() if not any(name.startswith(f"{outer}.") for outer in found)}


def _ratio(part: Tensor, whole: Tensor) -> float:
    part, whole = part.double().abs(), whole.double().abs()
    return float(part / whole) if whole > 0 else float("inf") if part > 0 else 0.0
