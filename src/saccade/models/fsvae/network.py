"""The fully spiking variational autoencoder (FSVAE), TCJA's test-bed for generation.

Kamata, Mukuta, Harada. Fully Spiking Variational Autoencoder. AAAI 2022, arXiv 2110.00375.
Zhu, Zhao, Li, Deng, Zhang, Wei. TCJA-SNN. IEEE TNNLS 2024, arXiv 2206.10177 (the attention before the read-out).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from saccade import ops
from saccade.models.fsvae.image import Decoder, Encoder, stage_channels
from saccade.models.fsvae.latent import Posterior, Prior
from saccade.models.fsvae.layers import RELEASED_SURROGATE, vae_neuron
from saccade.models.network import SpikingNetwork
from saccade.models.registry import register_model
from saccade.nn.attention import GatedNeuron, create_attention


class VAEOutput(NamedTuple):
    """What a forward pass computes. T steps, B batch, D latents, k outputs per latent."""

    #: [B, C, H, W], in (-1, 1)
    reconstruction: Tensor
    #: the encoder's spikes x_t, [T, B, D]
    latent: Tensor
    #: the posterior's sample, [T, B, D]
    z: Tensor
    #: all outputs of the posterior, [T, B, D, k]
    q: Tensor
    #: all outputs of the prior along z, [T, B, D, k]
    p: Tensor


@register_model("fsvae", num_classes=1, input_size=None)  # neither means anything here: there is `image_size`
class FSVAE(SpikingNetwork):
    """Fully spiking VAE: every layer but the last fires, the latent variables are spikes too.

        x_t = encoder(image),  z ~ q(z_t | x_<=t, z_<t),  image' = tanh(read-out(decoder(z))),  prior p(z_t | z_<t)

    Args:
        steps: T; an image is shown at every step.
        in_channels: C of the images, which lie in [-1, 1].
        latent: D.
        k: Bernoulli outputs per latent.
        image_size: side of the square images, a power of two.
        attention: gate before the read-out; "none" is the original's membrane read-out, with any other the read-out is
            the mean over time of the gated output.
        encoder_attention, decoder_attention: gate after every stage of encoder or decoder; "none" as published. One of
            the same name as `attention` shares its options. What such a gate passes on is real-valued unless
            `placement` is "current".
        surrogate: of every neuron; the default is the released code's, a rectangle around zero potential. "rectangle"
            centres it at the threshold.
        **network: `width`, `attention_options`, `placement` and `backend`, as for every network.

    Raises:
        ValueError: a size that makes no sense, an unknown attention or option.
    """

    kind = "generator"
    official_keys = (
        (r"^before_latent_layer\.", "encoder.to_latent."),
        (r"^decoder_input\.", "decoder.from_latent."),
        (r"^final_layer\.0\.(weight|bias)$", r"decoder.last.conv.\1"),
        (r"^final_layer\.0\.", "decoder.last."),
        (r"^final_layer\.1\.", "decoder.to_image."),
        (r"^(encoder|decoder)\.(\d+)\.", r"\1.stages.\2."),
        (r"^(encoder|decoder)\.stages\.(\d+)\.(weight|bias)$", r"\1.stages.\2.conv.\3"),
        (r"^((?:posterior|prior)\.layers\.\d+|\w+\.(?:to|from)_latent)\.(weight|bias)$", r"\1.linear.\2"),
        (r"\.bn\.", ".norm."),
    )

    def __init__(
        self,
        *,
        steps: int = 16,
        in_channels: int = 1,
        latent: int = 128,
        k: int = 20,
        image_size: int = 32,
        attention: str = "none",
        attention_options: Mapping[str, Any] | None = None,
        encoder_attention: str = "none",
        decoder_attention: str = "none",
        placement: str | None = None,
        surrogate: str | ops.Surrogate = RELEASED_SURROGATE,
        **network: Any,
    ) -> None:
        super().__init__(steps=steps, in_channels=in_channels, attention=attention, **network)
        self.image_size = image_size

        def fire(name: str, channels: int, neuron: nn.Module) -> GatedNeuron:
            options = attention_options or {} if name == attention else {}
            return GatedNeuron(neuron, create_attention(name, channels, steps, **{"placement": placement, **options}))

        neuron = partial(vae_neuron, surrogate, self.backend)
        channels = stage_channels(image_size, self.width)
        self.encoder = Encoder(in_channels, channels, latent, neuron, partial(fire, encoder_attention))
        self.posterior = Posterior(latent, k, neuron)
        self.prior = Prior(latent, k, neuron)
        gate = fire(attention, in_channels, nn.Identity())
        self.decoder = Decoder(in_channels, channels, latent, neuron, partial(fire, decoder_attention), gate)
        # Weights laid out channels last make every convolution compute so: transposed ones are far slower otherwise.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, scheduled: float = 0.0, index: Tensor | None = None) -> VAEOutput:
        """Encode, sample, decode.

        Args:
            x: images [B, C, H, W] in [-1, 1], or one image per step [T, B, C, H, W].
            scheduled: probability of scheduled sampling of the prior, see `Prior.forward`; for training.
            index: which of the k outputs of the posterior is picked, [T, B, D]; drawn if None.

        Raises:
            ValueError: an input of another shape.
        """
        latent = self.encode(x)
        z, q = self.posterior(latent, index)
        p = self.prior(z, scheduled)
        return VAEOutput(self.decode(z), latent, z, q, p)

    def encode(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W], or one per step [T, B, C, H, W] -> the encoder's spikes [T, B, D]."""
        self.as_sequence(x)
        if tuple(x.shape[-2:]) != (self.image_size, self.image_size):
            raise ValueError(
                f"fsvae was built for image_size={self.image_size} but the images are {x.shape[-2]} x {x.shape[-1]} "
                f"({list(x.shape)}). Resize them, or build it with another image_size (a power of two)."
            )
        return self.encoder(x, self.steps)

    def decode(self, z: Tensor) -> Tensor:
        """Latent spikes [T, B, D] -> images [B, C, H, W] in (-1, 1)."""
        return self.decoder(z)

    @torch.no_grad()
    def sample(self, batch: int, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Draw images from the prior.

        Args:
            batch: how many.
            index: which of the k outputs of the prior is picked, [T, B, D]; drawn if None.

        Returns:
            `(images, z)`: [B, C, H, W] in (-1, 1) and the latent spikes [T, B, D] they were decoded from.

        Raises:
            ValueError: in training mode, where the decoder would normalise by the statistics of this very batch.
        """
        self._need_evaluation("sample()")
        z = self.prior.sample(self.steps, batch, index)
        return self.decode(z), z

    @torch.no_grad()
    def interpolate(self, first: Tensor, last: Tensor, count: int) -> Tensor:
        """Images between pairs of images: the latent rates go linearly from one to the other.

            rate_i = (1 - i / (count - 1)) mean_k q(first) + i / (count - 1) mean_k q(last),   z_i = [u < rate_i]

        with one uniform draw u per step and latent for the whole way, so that only what must change does.

        Args:
            first, last: images [B, C, H, W] in [-1, 1].
            count: images on the way, both ends included, 2 or more.

        Returns:
            [count, B, C, H, W].

        Raises:
            ValueError: in training mode, or `count` below 2.
        """
        self._need_evaluation("interpolate()")
        if count < 2:
            raise ValueError(f"interpolate() shows both ends, so count must be 2 or more, not {count}.")
        start, end = (self.posterior(self.encode(x))[1].mean(-1) for x in (first, last))
        u = torch.rand_like(start)
        shares = [i / (count - 1) for i in range(count)]
        return torch.stack([self.decode((u < torch.lerp(start, end, share)).to(u.dtype)) for share in shares])

    def _need_evaluation(self, what: str) -> None:
        if self.training:
            raise ValueError(f"{what} needs the running statistics of training: call model.eval() first.")

    def prepare_official(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The released state dict without what is no parameter here, and with 3-d kernels of depth 1 made 2-d.

        The released code convolves [B, C, H, W, T] with kernels [., ., 3, 3, 1]. It stores z_0, which is zero, and the
        weights of the membrane read-out, 0.8^(T-1-t): constants here, whatever the file holds.

        Raises:
            ValueError: the checkpoint was trained with another number of steps.
        """
        weights = state_dict.get("membrane_output_layer.coef")
        if weights is not None and weights.shape[-1] != self.steps:
            raise ValueError(
                f"This fsvae was built for steps={self.steps}, but the state dict was trained with {weights.shape[-1]} "
                f"(the length of membrane_output_layer.coef). Build it with steps={weights.shape[-1]}."
            )
        constants = ("prior.initial_input", "posterior.initial_input", "membrane_output_layer.coef")
        parts = {key: value for key, value in state_dict.items() if key not in constants}
        return {key: value.squeeze(-1) if value.ndim == 5 else value for key, value in parts.items()}
