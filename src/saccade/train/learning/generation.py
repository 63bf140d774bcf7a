"""Learning to generate: the Lightning task of the fully spiking VAE.

    loss = mean (reconstruction - image)^2 + w * divergence(q, p),   images in [-1, 1]

with the divergence `mmd_psp` (w = 1) or `kl_bernoulli` (w = 1e-4), as published (Kamata et al., AAAI 2022, arXiv
2110.00375), and scheduled sampling of the prior with a probability that rises from 0.1 to 0.3 over the epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.data import BatchLoader, DataInfo, draw_seed
from saccade.models.fsvae import FSVAE, VAEOutput, kl_bernoulli, mmd_psp
from saccade.models.network import SpikingNetwork
from saccade.nn.together import summed
from saccade.train.config import Experiment
from saccade.train.device import Machine
from saccade.train.evaluate import at_least_float32
from saccade.train.firing import FiringMeter
from saccade.train.images.autoencoder import SIDE, load_autoencoder, shipped_autoencoders
from saccade.train.images.frechet import fit_gaussian, frechet_distance
from saccade.train.learning.task import CHOICE, FinalScores, LearningTask, cut_short, epochs_done

DIVERGENCES = {"mmd": (mmd_psp, 1.0), "kld": (kl_bernoulli, 1e-4)}
SCHEDULED = (0.1, 0.3)
#: generated images that the Fréchet distance is taken of
GENERATED = 5000
#: key of `draw_seed` for what is drawn while scoring, apart from all training steps
SCORING = 2**31


def losses(output: VAEOutput, images: Tensor, divergence: str) -> tuple[Tensor, Tensor]:
    """Reconstruction error and weighted divergence of a batch, two scalars whose sum is minimised.

    Args:
        output: of the network for the images.
        images: [B, C, H, W] in [-1, 1].
        divergence: "mmd" or "kld".
    """
    measure, weight = DIVERGENCES[divergence]
    reconstruction, q, p = map(at_least_float32, (output.reconstruction, output.q, output.p))
    return F.mse_loss(reconstruction, images), weight * measure(q, p)


class GenerationTask(LearningTask):
    """Trains a fully spiking VAE; arguments as for `LearningTask`. Labels are not looked at."""

    columns = ("train_loss", "{part}_reconstruction", "{part}_divergence")

    def __init__(
        self,
        model: SpikingNetwork,
        experiment: Experiment,
        info: DataInfo,
        train_batches: BatchLoader,
        watched: BatchLoader,
    ) -> None:
        assert isinstance(model, FSVAE)
        super().__init__(model, experiment, info, train_batches, watched)
        self.scores = GenerationScores(experiment.loss)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images = batch[0]
        share = epochs_done(self.trainer) / self.experiment.epochs
        output = self.model(images, scheduled=SCHEDULED[0] + (SCHEDULED[1] - SCHEDULED[0]) * share)
        loss = torch.stack(losses(output, images, self.experiment.loss)).sum()
        self.count_loss(loss, len(images), index, images)
        return loss

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.scores.reset()
        torch.manual_seed(draw_seed(self.experiment.seed, SCORING))

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.scores.update(self.scored_model(batch[0]), batch[0])

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.scores.pool()
        self.check_finite(torch.tensor(self.scores.reconstruction), "loss")

    def measured(self) -> tuple[float | None, ...]:
        return float(self.train_loss), self.scores.reconstruction, self.scores.divergence

    def describe(self, row: dict[str, Any], part: str) -> str:
        return (
            f"train loss {row['train_loss']:.4f}  {part} reconstruction {row[f'{part}_reconstruction']:.4f} "
            f"divergence {row[f'{part}_divergence']:.4f}"
        )

    def test(self, batches: BatchLoader, machine: Machine, rows: list[dict[str, Any]]) -> FinalScores:
        model = self.scored_model.to(machine.device)
        assert isinstance(model, FSVAE)
        seed = draw_seed(self.experiment.seed, SCORING)
        found, meter = score_images(model, batches, self.experiment, machine, seed)
        score = {name: found[name] for name in ("test_reconstruction", "frechet_autoencoder_distance")}
        return FinalScores({**score, "of": CHOICE, **cut_short(batches)}, found, meter.mean_rate(), meter.rates())


class GenerationScores:
    """Adds up batches: `update(output, images)`, then the means over all images."""

    def __init__(self, divergence: str) -> None:
        self.kind = divergence
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.sums: Tensor = torch.zeros(2, dtype=torch.float64)
        self.samples = 0

    def update(self, output: VAEOutput, images: Tensor) -> None:
        """Count one batch."""
        parts = torch.stack(losses(output, images, self.kind)).detach().double()
        self.sums = self.sums.to(parts.device) + parts * len(images)
        self.samples += len(images)

    def pool(self) -> None:
        """Add up what all processes of a run have counted."""
        *sums, samples = summed(*self.sums, self.samples)
        self.sums, self.samples = torch.tensor(sums, dtype=torch.float64), int(samples)

    @property
    def reconstruction(self) -> float:
        """Mean squared error of pixels in [-1, 1]."""
        return float(self.sums[0]) / self.samples

    @property
    def divergence(self) -> float:
        """Weighted divergence of posterior and prior."""
        return float(self.sums[1]) / self.samples


@torch.inference_mode()
def score_images(
    model: FSVAE, batches: BatchLoader, experiment: Experiment, machine: Machine, seed: int
) -> tuple[dict[str, Any], FiringMeter]:
    """Reconstruction, divergence, firing rates and Fréchet autoencoder distance on the test part.

    Args:
        model: on the machine's device; left in evaluation mode.
        batches: of the test part, images in [-1, 1].
        experiment: for its loss, data set, batch size and, for the number of generated images, `max_batches`.
        machine: where, and in which number type.
        seed: of all that is drawn.

    Returns:
        The fields of result.json, and the meter that counted spikes while the test images were reconstructed.
    """
    model.eval()
    torch.manual_seed(seed)
    scores = GenerationScores(experiment.loss)
    with FiringMeter(model) as meter:
        for images in images_of(batches):
            images = images.to(machine.device, machine.dtype)
            with autocast(machine):
                output = model(images)
            scores.update(output, images)
    distance, settings = frechet_autoencoder(model, batches, experiment, machine)
    return {
        "test_reconstruction": scores.reconstruction,
        "test_reconstruction_is": f"mean squared error of pixels in [-1, 1]; {CHOICE}",
        "test_divergence": scores.divergence,
        "test_divergence_is": experiment.loss,
        "test_samples": scores.samples,
        **cut_short(batches),
        "frechet_autoencoder_distance": distance,
        "frechet_autoencoder_distance_is": settings,
        "firing_rate_by_part": {part: meter.mean_rate(part) for part in ("encoder", "posterior", "prior", "decoder")},
    }, meter


def frechet_autoencoder(
    model: FSVAE, batches: BatchLoader, experiment: Experiment, machine: Machine
) -> tuple[float | None, str]:
    """The distance of generated images from the test images, and its settings; or None, and why there is none."""
    size = model.image_size
    if experiment.data not in shipped_autoencoders() or size != SIDE:
        return None, f"no autoencoder is shipped for {experiment.data} at {size} x {size}"
    autoencoder, card = load_autoencoder(experiment.data)
    autoencoder = autoencoder.to(machine.device)
    limit = experiment.max_batches
    count = GENERATED if limit is None else min(GENERATED, limit * experiment.batch_size)
    real = fit_gaussian(autoencoder.features(images_of(batches)))
    generated = fit_gaussian(autoencoder.features(generate(model, count, experiment.batch_size, machine)))
    settings = f"{generated.count} generated against {real.count} test images, autoencoder {card['sha256'][:12]}"
    return frechet_distance(generated, real), settings


def generate(model: FSVAE, count: int, batch_size: int, machine: Machine) -> Iterator[Tensor]:
    """`count` images drawn from the prior, in batches [B, C, H, W], float32 in (-1, 1)."""
    for start in range(0, count, batch_size):
        with autocast(machine):
            images, _ = model.sample(min(batch_size, count - start))
        yield images.float()


def autocast(machine: Machine) -> torch.autocast:
    """Compute in the machine's number type where torch thinks it safe."""
    return torch.autocast(machine.device.type, machine.autocast, enabled=machine.autocast is not None)


def images_of(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """The images of batches (images, labels)."""
    return (images for images, _ in batches)


def first_images(batches: BatchLoader, count: int) -> Tensor:
    """The first `count` images of a loader, [count, C, H, W]; all of them if there are fewer."""
    found: list[Tensor] = []
    for images in images_of(batches):
        found.append(images)
        if sum(map(len, found)) >= count:
            break
    return torch.cat(found)[:count]
