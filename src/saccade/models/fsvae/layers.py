"""What every part of the fully spiking VAE is made of: a map, threshold-dependent batch norm, a neuron.

Letters: T steps, B batch, C channels, H, W image, D latents, k Bernoulli outputs per latent.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from saccade import ops
from saccade.nn.attention import GatedNeuron
from saccade.nn.folding import fold_time, regular_gradient, unfold_time
from saccade.nn.neuron import LIF
from saccade.nn.norm import ThresholdBatchNorm

DECAY = 0.25
THRESHOLD = 0.2
#: 1 where |u| < 0.5: the released code measures the distance from zero potential, not from the threshold
RELEASED_SURROGATE = ops.Surrogate("rectangle", 1.0, center=-THRESHOLD)


MakeNeuron = Callable[[], LIF]


def vae_neuron(surrogate: str | ops.Surrogate = RELEASED_SURROGATE, backend: str = "auto") -> LIF:
    """The neuron of the fully spiking VAE: decay 0.25, threshold 0.2, hard reset that is not detached."""
    return LIF(DECAY, threshold=THRESHOLD, surrogate=surrogate, backend=backend)


class SpikingLinear(nn.Module):
    """Linear - tdBN - LIF at every step: [T, B, in_features] -> spikes [T, B, out_features]."""

    def __init__(self, in_features: int, out_features: int, neuron: LIF, alpha: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.norm = ThresholdBatchNorm(out_features, alpha, THRESHOLD)
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(unfold_time(self.norm(self.linear(fold_time(x))), x.shape[0]))

    def frozen_map(self) -> tuple[Tensor, Tensor]:
        """Linear and norm, with running statistics, as one affine map, no gradient: weight [out, in], bias [out]."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = norm.scale * norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = factor[:, None] * self.linear.weight
        bias = factor * (self.linear.bias - norm.running_mean) + norm.bias
        return weight.detach(), bias.detach()


class SpikingConv(nn.Module):
    """Convolution - tdBN - LIF, gated: [T, B, C, H, W] -> [T, B, C', H', W'].

    `conv` is any 2-d convolution or transposed convolution. An image [B, C, H, W] that is shown at every step goes
    through convolution and norm once: `forward(image, steps)`. The result is the same as for T copies (in training
    mode, the running variance is unbiased with B*H*W - 1 in place of T*B*H*W - 1).
    """

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, fire: GatedNeuron) -> None:
        super().__init__()
        self.conv = conv
        self.norm = ThresholdBatchNorm(conv.out_channels, 1.0, THRESHOLD)
        self.fire = fire

    def forward(self, x: Tensor, steps: int | None = None) -> Tensor:
        if steps is not None:
            current = regular_gradient(self.norm(self.conv(x))).expand(steps, *[-1] * x.ndim)
        else:
            current = unfold_time(self.norm(self.conv(fold_time(x))), x.shape[0])
        return self.fire(current)


class LayerStream:
    """A stack of spiking linear layers, one step at a time, on running statistics and without gradients.

    Each layer is one affine map and one `lif.step`; the neurons' states live here. Steps 0..t of a stream are what the
    stack in evaluation mode gives for the prefix 0..t, because nothing in it looks ahead: the affine maps act on each
    step alone and a neuron's potential depends on the past only. So T steps cost T, where computing every prefix again
    costs T (T + 1) / 2.
    """

    def __init__(self, layers: list[SpikingLinear]) -> None:
        self.maps = [layer.frozen_map() for layer in layers]
        self.neurons = [layer.neuron for layer in layers]
        self.states: list[Tensor | None] = [None] * len(layers)

    @torch.no_grad()
    def step(self, x_t: Tensor) -> Tensor:
        """The next step's input [B, in_features] -> the last layer's spikes [B, out_features], in the weights' type."""
        # A potential is a sum over steps and would drift in half precision, so autocast stays out.
        with torch.autocast(x_t.device.type, enabled=False):
            x_t = x_t.to(self.maps[0][0].dtype)
            for i, ((weight, bias), neuron) in enumerate(zip(self.maps, self.neurons, strict=True)):
                x_t, self.states[i] = neuron.step(nn.functional.linear(x_t, weight, bias), self.states[i])
        return x_t
