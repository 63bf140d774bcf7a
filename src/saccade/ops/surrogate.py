"""Surrogate derivatives: what backward uses in place of the derivative of the step function.

With v = u - threshold, the forward pass is the step [v > 0] and the backward pass multiplies by one of

    triangle   max(0, g - |v|) / g^2                      scale = g (half width)
    atan       (a / 2) / (1 + (pi / 2 * a * v)^2)         scale = a
    sigmoid    a * sigmoid(a v) * (1 - sigmoid(a v))      scale = a
    rectangle  [|v| < w / 2] / w                          scale = w (full width)
    tanh       [|v| <= w / 2] (1 - tanh(v)^2) / (2 tanh(w / 2))   scale = w (full width)

`center` shifts v, for code that measures the distance from another potential than the threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saccade.errors import unknown_name

DEFAULT_SCALES = {"triangle": 1.0, "atan": 2.0, "sigmoid": 4.0, "rectangle": 1.0, "tanh": 1.0}
#: those that the compiled kernels know, in the order of their constants
IN_KERNELS = ("triangle", "atan", "sigmoid", "rectangle")


@dataclass(frozen=True)
class Surrogate:
    """A surrogate derivative: which family, how wide, and around which value of u - threshold it is centred."""

    kind: str
    scale: float
    center: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in DEFAULT_SCALES:
            raise unknown_name("surrogate", self.kind, DEFAULT_SCALES)
        if not self.scale > 0:
            raise ValueError(f"A surrogate's scale must be positive, but {self.kind} was given scale={self.scale}.")

    def derivative(self, v: Tensor) -> Tensor:
        """The surrogate derivative at v = u - threshold, elementwise, in v's dtype."""
        v = v - self.center if self.center else v
        a = self.scale
        if self.kind == "triangle":
            return (a - v.abs()).clamp(min=0).mul_(1 / a**2)
        if self.kind == "atan":
            return (a / 2) / (1 + (math.pi / 2 * a * v).square_())
        if self.kind == "sigmoid":
            s = torch.sigmoid(a * v)
            return a * s * (1 - s)
        if self.kind == "rectangle":
            return (v.abs() < a / 2).to(v.dtype).mul_(1 / a)
        return (v.abs() <= a / 2).to(v.dtype) * (1 - torch.tanh(v).square_()) / (2 * math.tanh(a / 2))


def surrogate(spec: str | Surrogate) -> Surrogate:
    """A `Surrogate` from a name (with the field's usual width) or from itself."""
    if isinstance(spec, Surrogate):
        return spec
    if spec not in DEFAULT_SCALES:
        raise unknown_name("surrogate", spec, DEFAULT_SCALES)
    return Surrogate(spec, DEFAULT_SCALES[spec])
