"""The Fréchet distance between two sets of images, in the latent space of an autoencoder.

Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter. GANs Trained by a Two Time-Scale Update Rule Converge to a Local
Nash Equilibrium. NeurIPS 2017, arXiv 1706.08500 (the distance, there between Inception features). The fully spiking
VAE (arXiv 2110.00375) takes an autoencoder of the same data in place of Inception, which never saw digits.

A distance means something only between numbers from the same autoencoder: ours is not the original's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """What a set of features is summarised by: mean [F] and covariance [F, F], float64, of `count` features."""

    mean: Tensor
    covariance: Tensor
    count: int


def fit_gaussian(batches: Iterable[Tensor]) -> Gaussian:
    """Mean and unbiased covariance of features that come in batches [B, F].

    Raises:
        ValueError: fewer than two features.
    """
    features = torch.cat([batch.double().cpu() for batch in batches])
    if len(features) < 2:
        raise ValueError(f"A covariance needs two samples or more, but there are {len(features)}.")
    return Gaussian(features.mean(0), features.T.cov(), len(features))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet distance of two Gaussians.

        |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2)

    The root is taken of a symmetric matrix, so eigenvalues are real and rounding below zero can be cut off.
    """
    values, vectors = torch.linalg.eigh(a.covariance)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ b.covariance @ root_a).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * cross
    return max(0.0, float(distance))
