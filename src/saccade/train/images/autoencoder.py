"""The autoencoder that measures generated images: an ordinary network (no spikes), one per data set, shipped.

Its latent space is where `frechet_distance` compares images. A shipped one is two files in `instruments/`:
NAME.safetensors and NAME.json, the card that says what it was trained on, how, and how well it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saccade.atomic import replacing
from saccade.data.loaders import BatchLoader
from saccade.errors import require
from saccade.files import read_object, sha256_of, write_object
from saccade.train.learning.schedule import learning_rate_factor

INSTRUMENTS = Path(__file__).parent / "instruments"
CHANNELS = (16, 32, 64, 64)
SIDE = 32


class Autoencoder(nn.Module):
    """32x32 images -> 64 numbers -> 32x32 images.

    Four convolutions 4x4 of stride 2 (16-32-64-64 channels, batch norm, ReLU), a linear map to the latent, and the
    mirror image of it, tanh at the end. Images lie in [-1, 1].
    """

    def __init__(self, in_channels: int = 1, latent: int = 64) -> None:
        super().__init__()
        self.sizes = {"in_channels": in_channels, "latent": latent}
        deepest = CHANNELS[-1] * 2 * 2
        down = [layer for a, b in zip((in_channels, *CHANNELS), CHANNELS, strict=False) for layer in _halve(a, b)]
        up = [layer for a, b in zip(CHANNELS[:0:-1], CHANNELS[-2::-1], strict=True) for layer in _double(a, b)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(deepest, latent))
        self.decoder = nn.Sequential(
            nn.Linear(latent, deepest),
            nn.ReLU(),
            nn.Unflatten(1, (CHANNELS[-1], 2, 2)),
            *up,
            nn.ConvTranspose2d(CHANNELS[0], in_channels, 4, 2, 1),
            nn.Tanh(),
        )

    def encode(self, images: Tensor) -> Tensor:
        """[B, C, 32, 32] -> [B, latent]."""
        return self.encoder(images)

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, 32, 32] -> [B, C, 32, 32] in (-1, 1)."""
        return self.decoder(self.encode(images))

    @torch.no_grad()
    def features(self, batches: Iterable[Tensor]) -> Iterable[Tensor]:
        """Latents of batches of images [B, C, 32, 32], batch by batch, on the autoencoder's device."""
        weight = next(self.parameters())
        for images in batches:
            yield self.encode(images.to(weight))


def _halve(a: int, b: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]


def _double(a: int, b: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]


def train_autoencoder(
    batches: BatchLoader, in_channels: int, epochs: int, lr: float = 2e-3, report: Callable[[str], None] = print
) -> Autoencoder:
    """Train an autoencoder on mean squared error with AdamW and a cosine schedule; returned in evaluation mode.

    Args:
        batches: of (images [B, C, 32, 32] in [-1, 1], labels); the labels are not looked at.
        in_channels: C.
        report: told one line per epoch.
    """
    model = Autoencoder(in_channels)
    optimizer = torch.optim.AdamW(model.parameters(), lr)
    total = epochs * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, total))
    for epoch in range(epochs):
        loss_sum = 0.0
        for images, _ in batches:
            loss = F.mse_loss(model(images), images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += float(loss.detach())
        report(f"epoch {epoch + 1}/{epochs}  reconstruction loss {loss_sum / len(batches):.4f}")
    return model.eval()


def save_autoencoder(model: Autoencoder, name: str, card: dict[str, Any], folder: Path = INSTRUMENTS) -> None:
    """Write NAME.safetensors and NAME.json into a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    with replacing(path) as temporary:
        require("safetensors.torch", "train").save_file(dict(model.state_dict()), temporary)
    full = {"sizes": model.sizes, **card, "sha256": sha256_of(path)}
    write_object(path.with_suffix(".json"), full)


def shipped_autoencoders() -> list[str]:
    """The data sets that an autoencoder is shipped for."""
    return sorted(path.stem for path in INSTRUMENTS.glob("*.safetensors"))


def load_autoencoder(name: str, folder: Path = INSTRUMENTS) -> tuple[Autoencoder, dict[str, Any]]:
    """The autoencoder for a data set, in evaluation mode, and its card.

    Raises:
        FileNotFoundError: none is shipped for it.
        ValueError: the file is not the one that the card describes.
    """
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"No autoencoder is shipped for {name!r}, so there is no Fréchet autoencoder distance. "
            f"There is one for: {', '.join(shipped_autoencoders())}. To add one, see benchmarks/train_autoencoder.py."
        )
    card = read_object(path.with_suffix(".json"))
    if card["sha256"] != sha256_of(path):
        raise ValueError(f"{path} is not the file that its card describes (another sha256). Install saccade again.")
    model = Autoencoder(**card["sizes"])
    model.load_state_dict(require("safetensors.torch", "train").load_file(path))
    return model.eval(), card
