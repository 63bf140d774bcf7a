"""The two autoregressive Bernoulli distributions of the fully spiking VAE.

Kamata, Mukuta, Harada. Fully Spiking Variational Autoencoder. AAAI 2022, arXiv 2110.00375.

Each is a spiking MLP with k outputs for every latent. At step t, one of a latent's k outputs is picked uniformly;
whether it fired is z_t. So z_t is Bernoulli with the share of the k outputs that fired as its rate:

    posterior  q(z_t | x_<=t, z_<t)    k outputs of MLP([x_t ; z_{t-1}]),   D*2 - D*2 - D*4 - D*k
    prior      p(z_t | z_<t)           k outputs of MLP(z_{t-1}),           D   - D*2 - D*4 - D*k

with z_0 = 0 and the past held by the neurons' potentials. Because z_t is an input of step t + 1, sampling walks
through time. The released code computes the whole prefix 0..t again at every step, T (T + 1) / 2 steps in all; here
each step is computed once from the neurons' state (`LayerStream`), which gives the same spikes in evaluation mode.

Differs from the released code: in training mode it walks the prefixes with batch statistics of each prefix, which also
moves the running statistics of the batch norms T times a batch, T - 1 of them from incomplete sequences. Here the walk
uses the running statistics, as generation does later, and leaves them alone; only the pass that is trained, over the
whole sequence, uses and records batch statistics.

T steps, B batch, D latents, k outputs per latent. Everything here is time first.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from saccade.models.fsvae.layers import LayerStream, MakeNeuron, SpikingLinear, vae_neuron
from saccade.nn.attention.contract import check_positive
from saccade.nn.together import draw_rows

ALPHA = 2.0  # the norms of both MLPs scale by 2 * threshold, so that enough of the k outputs fire


class AutoregressiveBernoulli(nn.Module):
    """The spiking MLP that posterior and prior share: [T, B, in_features] -> k spikes for each latent."""

    def __init__(self, in_features: int, latent: int, k: int, neuron: MakeNeuron) -> None:
        super().__init__()
        check_positive(type(self).__name__, latent=latent, k=k)
        widths = [in_features, 2 * latent, 4 * latent, k * latent]
        self.latent = latent
        self.k = k
        self.layers = nn.Sequential(*[SpikingLinear(a, b, neuron(), ALPHA) for a, b in pairwise(widths)])

    def outputs(self, x: Tensor) -> Tensor:
        """All k outputs for inputs known in advance: [T, B, in_features] -> spikes [T, B, D, k], with gradient."""
        return self.layers(x).unflatten(-1, (self.latent, self.k))

    def stream(self) -> LayerStream:
        """The MLP one step at a time, on running statistics; see `LayerStream`."""
        return LayerStream([layer for layer in self.layers if isinstance(layer, SpikingLinear)])

    def draw_index(self, steps: int, batch: int, device: torch.device) -> Tensor:
        """Which of the k outputs is picked, uniformly: integers [T, B, D]."""
        return draw_rows(lambda rows: torch.randint(self.k, (steps, rows, self.latent), device=device), batch, dim=1)


class Posterior(AutoregressiveBernoulli):
    """q(z_t | x_<=t, z_<t), where x is the encoder's output.

    Args:
        latent: D.
        k: outputs per latent.
        neuron: makes one of its neurons.
    """

    def __init__(self, latent: int, k: int = 20, neuron: MakeNeuron = vae_neuron) -> None:
        super().__init__(2 * latent, latent, k, neuron)

    def forward(self, x: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Sample z for a whole sequence.

        First z is walked through time without gradient, then all steps are computed at once, with gradient, on that
        walk's z_{t-1} and with the same picks.

        Args:
            x: the encoder's spikes, [T, B, D].
            index: which of the k outputs is picked, [T, B, D] integers below k; drawn if None.

        Returns:
            `(z, q)`: the sample [T, B, D] and all outputs [T, B, D, k], zeros and ones.
        """
        T, B, _ = x.shape
        index = self.draw_index(T, B, x.device) if index is None else index
        before = self._walk(x, index)
        q = self.outputs(torch.cat([x, before], -1))
        return pick(q, index), q

    @torch.no_grad()
    def _walk(self, x: Tensor, index: Tensor) -> Tensor:
        """z_{t-1} for every step, [T, B, D]: zeros, then what the picks give step by step."""
        stream = self.stream()
        before = torch.zeros_like(x)
        for t in range(x.shape[0] - 1):
            spikes = stream.step(torch.cat([x[t], before[t]], -1)).unflatten(-1, (self.latent, self.k))
            before[t + 1] = pick(spikes, index[t])
        return before


class Prior(AutoregressiveBernoulli):
    """p(z_t | z_<t).

    Args:
        latent: D.
        k: outputs per latent.
        neuron: makes one of its neurons.
    """

    #: scheduled sampling starts here: before, the prior has seen too little of z to go on by itself
    first_scheduled_step = 5

    def __init__(self, latent: int, k: int = 20, neuron: MakeNeuron = vae_neuron) -> None:
        super().__init__(latent, latent, k, neuron)

    def forward(self, z: Tensor, scheduled: float = 0.0) -> Tensor:
        """The prior's outputs along a sample of the posterior.

        Args:
            z: the posterior's sample [T, B, D]; no gradient flows back to it.
            scheduled: probability of scheduled sampling: at each step t from 5 on, and for the whole batch at once, the
                prior's own guess takes the place of z_t as its next input. The guess is
                [mean over k + 1e-3 * normal noise > 0.5].

        Returns:
            All outputs [T, B, D, k], zeros and ones.
        """
        z = z.detach()
        before = torch.cat([torch.zeros_like(z[:1]), z[:-1]])
        if scheduled > 0:
            before = self._replace_guessed(before, scheduled)
        return self.outputs(before)

    @torch.no_grad()
    def _replace_guessed(self, before: Tensor, probability: float) -> Tensor:
        """`before` [T, B, D] with some steps guessed; the walk ends at the last one that is."""
        steps = range(self.first_scheduled_step, before.shape[0] - 1)
        guessed = {t for t in steps if torch.rand(()).item() < probability}
        if not guessed:
            return before
        before = before.clone()
        stream = self.stream()
        for t in range(max(guessed) + 1):
            spikes = stream.step(before[t])
            if t in guessed:
                rate = spikes.unflatten(-1, (self.latent, self.k)).mean(-1)
                noise = draw_rows(partial(_noise, rate), len(rate))
                before[t + 1] = (rate + 1e-3 * noise > 0.5).to(before.dtype)
        return before

    @torch.no_grad()
    def sample(self, steps: int, batch: int, index: Tensor | None = None) -> Tensor:
        """Draw z from the prior alone, on running statistics.

        Args:
            steps, batch: T and B.
            index: which of the k outputs is picked, [T, B, D]; drawn if None.

        Returns:
            z [T, B, D], zeros and ones.
        """
        weight = next(self.parameters())
        index = self.draw_index(steps, batch, weight.device) if index is None else index
        stream = self.stream()
        z = weight.new_zeros(steps + 1, batch, self.latent)
        for t in range(steps):
            z[t + 1] = pick(stream.step(z[t]).unflatten(-1, (self.latent, self.k)), index[t])
        return z[1:]


def _noise(like: Tensor, rows: int) -> Tensor:
    return torch.randn(rows, *like.shape[1:], dtype=like.dtype, device=like.device)


def pick(outputs: Tensor, index: Tensor) -> Tensor:
    """One of the k outputs of each latent: [..., D, k] and integers [..., D] -> [..., D]."""
    return outputs.gather(-1, index.unsqueeze(-1)).squeeze(-1)
