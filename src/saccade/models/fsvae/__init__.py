"""The fully spiking variational autoencoder, with an attention slot before the read-out."""

from saccade.models.fsvae.divergence import kl_bernoulli, mmd_psp, post_synaptic_potential
from saccade.models.fsvae.latent import Posterior, Prior
from saccade.models.fsvae.network import FSVAE, VAEOutput

__all__ = ["FSVAE", "Posterior", "Prior", "VAEOutput", "kl_bernoulli", "mmd_psp", "post_synaptic_potential"]
