"""How far posterior and prior are apart: maximum mean discrepancy of post-synaptic potentials, or Kullback-Leibler.

Kamata, Mukuta, Harada. Fully Spiking Variational Autoencoder. AAAI 2022, arXiv 2110.00375.
"""

from __future__ import annotations

import torch
from torch import Tensor


def post_synaptic_potential(rates: Tensor, tau: float = 2.0) -> Tensor:
    """The trace that spikes or rates [T, ...] leave behind a synapse, same shape.

    s_t = s_{t-1} + (r_t - s_{t-1}) / tau,   s_{-1} = 0,   tau in steps
    """
    trace = [rates[0] / tau]
    for rate in rates[1:]:
        trace.append(trace[-1] + (rate - trace[-1]) / tau)
    return torch.stack(trace)


def mmd_psp(q: Tensor, p: Tensor, tau: float = 2.0) -> Tensor:
    """Maximum mean discrepancy with the PSP kernel, the published choice.

        mean over t, b, d of (PSP(mean_k q) - PSP(mean_k p))^2

    Args:
        q, p: outputs of posterior and prior, [T, B, D, k].
        tau: the synapse's time constant in steps.

    Returns:
        A scalar; the gradient reaches both.
    """
    # The PSP is linear, so the difference of the traces is the trace of the difference: one pass over time, not two.
    return post_synaptic_potential(q.mean(-1) - p.mean(-1), tau).square().mean()


def kl_bernoulli(q: Tensor, p: Tensor, eps: float = 0.01) -> Tensor:
    """Kullback-Leibler divergence of the Bernoulli rates, summed over steps and latents, mean over the batch.

        q log((q + eps) / (p + eps)) + (1 - q) log((1 - q + eps) / (1 - p + eps)),   q, p the means over k

    `eps` bounds the logarithm where a rate is 0 or 1, which is common with k = 20.

    Args:
        q, p: outputs of posterior and prior, [T, B, D, k].

    Returns:
        A scalar; the gradient reaches both.
    """
    q, p = q.mean(-1), p.mean(-1)
    fires = q * ((q + eps) / (p + eps)).log()
    rests = (1 - q) * ((1 - q + eps) / (1 - p + eps)).log()
    return (fires + rests).sum((0, 2)).mean()
