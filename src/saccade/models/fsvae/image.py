"""Encoder and decoder of the fully spiking VAE: images to latent spikes and back.

    encoder  {conv 3x3 stride 2 - tdBN - LIF} 32-64-128-256, flatten, Linear - tdBN - LIF -> D
    decoder  Linear - tdBN - LIF, {transposed conv 3x3 stride 2 - tdBN - LIF} 128-64-32-32, transposed conv 3x3,
             read-out

for 32x32; each doubling of the side adds a stage with twice the channels. Both end at 2x2.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from saccade.models.fsvae.layers import MakeNeuron, SpikingConv, SpikingLinear
from saccade.nn.attention import GatedNeuron, NoAttention
from saccade.nn.folding import fold_time, unfold_time
from saccade.nn.readout import mean_readout, membrane_readout

FIRST_CHANNELS = 32
LAST_SIDE = 2
#: of the membrane read-out: its potential sums up to 1 / (1 - LEAK) = 5 steps
LEAK = 0.8

#: a neuron with a gate for so many channels
Fire = Callable[[int, nn.Module], GatedNeuron]


def stage_channels(image_size: int, width: float) -> list[int]:
    """The encoder's channel counts, one per halving of the side down to 2: 32-64-128-256 for 32, one more for 64.

    Raises:
        ValueError: `image_size` is not a power of two of at least 8.
    """
    if image_size < 8 or image_size & (image_size - 1):
        raise ValueError(
            f"fsvae halves the image's side down to 2, so image_size must be a power of two of at least 8, "
            f"not {image_size}. Resize the images, e.g. 28 -> 32."
        )
    stages = (image_size // LAST_SIDE).bit_length() - 1
    return [max(1, round(FIRST_CHANNELS * 2**i * width)) for i in range(stages)]


class Encoder(nn.Module):
    """Images -> spikes of the D latent neurons."""

    def __init__(self, in_channels: int, channels: list[int], latent: int, neuron: MakeNeuron, fire: Fire) -> None:
        super().__init__()
        pairs = zip([in_channels, *channels], channels, strict=False)
        self.stages = nn.ModuleList([SpikingConv(nn.Conv2d(a, b, 3, 2, 1), fire(b, neuron())) for a, b in pairs])
        self.to_latent = SpikingLinear(channels[-1] * LAST_SIDE**2, latent, neuron())

    def forward(self, x: Tensor, steps: int) -> Tensor:
        """[B, C, H, W] (shown at every one of `steps`) or [T, B, C, H, W] -> spikes [T, B, D]."""
        x = self.stages[0](x, steps) if x.ndim == 4 else self.stages[0](x)
        for stage in self.stages[1:]:
            x = stage(x)
        return self.to_latent(x.flatten(2))


class ReadOut(nn.Module):
    """From the decoder's analog output at every step to one image: [T, B, C, H, W] -> [B, C, H, W] in (-1, 1).

    Without attention the membrane read-out of the original, `tanh(sum_t LEAK^(T-1-t) x_t)`. With attention, as in
    TCJA's generation experiment, `tanh(mean_t gate(x) * x_t)`: the gate weighs the steps, so no leak has to.
    """

    def __init__(self, gate: GatedNeuron) -> None:
        super().__init__()
        self.gate = gate

    @property
    def by_potential(self) -> bool:
        """Whether nothing weighs the steps but the leak, so that the read-out is linear up to its tanh."""
        return isinstance(self.gate.attention, NoAttention)

    def forward(self, x: Tensor) -> Tensor:
        gated = self.gate(x)
        return (membrane_readout(gated, LEAK) if self.by_potential else mean_readout(gated)).tanh()


class Decoder(nn.Module):
    """Spikes of the D latents -> images.

    Differs from the released code: under the membrane read-out the last convolution starts at a fifth of PyTorch's
    weights, because the potential sums five steps. With the full ones, up to two thirds of the pixels of a new small
    network are saturated, all black or all white as the seed has it, and one that starts white learns late.
    """

    def __init__(
        self,
        out_channels: int,
        channels: list[int],
        latent: int,
        neuron: MakeNeuron,
        fire: Fire,
        gate: GatedNeuron,
    ) -> None:
        super().__init__()
        down = channels[::-1]
        self.from_latent = SpikingLinear(latent, down[0] * LAST_SIDE**2, neuron())
        self.stages = nn.ModuleList([SpikingConv(doubling(a, b), fire(b, neuron())) for a, b in pairwise(down)])
        self.last = SpikingConv(doubling(down[-1], down[-1]), fire(down[-1], neuron()))
        self.to_image = nn.ConvTranspose2d(down[-1], out_channels, 3, 1, 1)
        self.readout = ReadOut(gate)
        if self.readout.by_potential:
            for parameter in self.to_image.parameters():
                parameter.data.mul_(1 - LEAK)

    def forward(self, z: Tensor) -> Tensor:
        """Spikes [T, B, D] -> images [B, C, H, W] in (-1, 1)."""
        x = self.from_latent(z).unflatten(-1, (-1, LAST_SIDE, LAST_SIDE))
        for stage in self.stages:
            x = stage(x)
        spikes = self.last(x)
        if self.readout.by_potential and torch.is_grad_enabled():
            return self._convolve_potential(spikes).tanh()
        return self.readout(unfold_time(self.to_image(fold_time(spikes)), z.shape[0]))

    def _convolve_potential(self, spikes: Tensor) -> Tensor:
        """What `readout` sums, with the sum over time before the convolution: [T, B, C, H, W] -> [B, C', H, W].

        Both are linear, so they can change places, and the convolution, forward and backward, has one image to do
        in place of T. For training only: a spiking machine convolves spikes, and that is what is counted elsewhere.
        """
        # channels come last in memory, so seen this way the sum is one product of a row and a matrix, without a copy
        potential = membrane_readout(spikes.movedim(2, -1), LEAK).movedim(-1, 1)
        conv = self.to_image
        weighted = nn.functional.conv_transpose2d(potential, conv.weight, stride=1, padding=1)
        assert conv.bias is not None
        return weighted + membrane_readout(conv.bias.expand(len(spikes), -1), LEAK).view(-1, 1, 1)


def doubling(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Transposed convolution 3x3 that doubles the side."""
    return nn.ConvTranspose2d(in_channels, out_channels, 3, 2, 1, output_padding=1)
