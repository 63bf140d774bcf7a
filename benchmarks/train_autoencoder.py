"""Train the autoencoder that measures generated images, and write it where the package ships it.

    python benchmarks/train_autoencoder.py mnist --data-root DIR

Writes NAME.safetensors and NAME.json (the card) into src/saccade/train/images/instruments. The card holds the
reconstruction error on the test part and two distances that calibrate the instrument: training part against test part,
which nothing that is drawn should beat by much, and uniform noise against test part.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.data import BatchLoader, DataRequest, load_data, make_loader
from saccade.train.images.autoencoder import INSTRUMENTS, SIDE, Autoencoder, save_autoencoder, train_autoencoder
from saccade.train.images.frechet import fit_gaussian, frechet_distance
from saccade.train.learning.generation import images_of
from saccade.train.running import provenance

BATCH, SEED = 125, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="data set by name")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=INSTRUMENTS)
    options = parser.parse_args()

    splits = load_data(DataRequest(options.data, options.data_root, size=SIDE, augment="none", symmetric=True))
    train, test = (
        make_loader(part, batch_size=BATCH, train=part is splits.train, temporal=False, seed=SEED)
        for part in (splits.train, splits.test)
    )
    torch.manual_seed(SEED)
    start = time.perf_counter()
    model = train_autoencoder(train, splits.info.in_channels, options.epochs)
    card = {
        "data": splits.info.name,
        "data_note": splits.info.note,
        "images": f"{SIDE}x{SIDE}, in [-1, 1], training part",
        "epochs": options.epochs,
        "batch_size": BATCH,
        "seed": SEED,
        "seconds": round(time.perf_counter() - start, 1),
        **calibrate(model, train, test),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(torch.device("cpu")),
        "license": "Apache-2.0",
    }
    save_autoencoder(model, options.data, card, options.out)
    print({name: value for name, value in card.items() if name.startswith(("test_", "distance_"))})


@torch.no_grad()
def calibrate(model: Autoencoder, train: BatchLoader, test: BatchLoader) -> dict[str, Any]:
    errors = [float(F.mse_loss(model(images), images)) for images in images_of(test)]
    real = fit_gaussian(model.features(images_of(test)))

    def distance(images: Any) -> float:
        return round(frechet_distance(fit_gaussian(model.features(images)), real), 4)

    torch.manual_seed(SEED)
    size = next(iter(images_of(test))).shape[1:]
    noise: list[Tensor] = [torch.rand(BATCH, *size) * 2 - 1 for _ in range(40)]
    return {
        "test_reconstruction": sum(errors) / len(errors),
        "distance_train_to_test": distance(images_of(train)),
        "distance_noise_to_test": distance(noise),
        "distances_of": f"{real.count} test images against the training part, and against {40 * BATCH} of noise",
    }


if __name__ == "__main__":
    main()
