"""Whether the digits that the VAE draws are recognised, by their nearest neighbours among the training images.

    python benchmarks/fsvae_recognised.py

For every run of fsvae_table.py. Images are compared in the 64 latents of the shipped autoencoder; the digit of an image
is that of most of its 5 nearest training images. Asked are

    test                 how many test images get their own digit: what this judge is worth
    reconstruction       how many reconstructions of test images get the digit of the image
    sample_unanimous     for how many samples of the prior all 5 agree (test_unanimous: the same of test images)
    sample_digits        how many samples got each digit

The answers are added to results/mnist-fsvae/CELL.json as "recognised". Data is looked for in $SACCADE_DATA.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from fsvae_table import RESULTS, RUNS
from saccade.atomic import write_text
from saccade.data import DataRequest, ImageTensors, load_data
from saccade.models.fsvae import FSVAE
from saccade.models.weights import load_weights
from saccade.train.images.autoencoder import SIDE, Autoencoder, load_autoencoder

NEIGHBOURS, SAMPLES, BATCH, SEED = 5, 5000, 250, 0


class Judge:
    """Names the digit of images [N, 1, 32, 32] in [-1, 1]."""

    def __init__(self, autoencoder: Autoencoder, known: ImageTensors) -> None:
        self.autoencoder = autoencoder
        batches = [known.fetch(indices) for indices in torch.arange(len(known)).split(BATCH)]
        self.labels = torch.cat([labels for _, labels in batches])
        self.features = self._features(images for images, _ in batches)
        self.squares = self.features.square().sum(1)

    def _features(self, batches: Iterable[Tensor]) -> Tensor:
        return torch.cat(list(self.autoencoder.features(batches)))

    def votes(self, batches: Iterable[Tensor]) -> Tensor:
        """The digits of the nearest training images, [N, 5]."""
        found = []
        for features in self._features(batches).split(BATCH):
            # the squared distance, less the image's own square, which is the same for all
            distances = self.squares - 2 * features @ self.features.T
            found.append(self.labels[distances.topk(NEIGHBOURS, largest=False).indices])
        return torch.cat(found)


def share(hits: Tensor) -> float:
    return round(float(hits.double().mean()), 4)


def unanimous(votes: Tensor) -> float:
    return share((votes == votes[:, :1]).all(1))


@torch.inference_mode()
def recognised(model: FSVAE, judge: Judge, images: list[Tensor], labels: Tensor, of_test: Tensor) -> dict[str, Any]:
    torch.manual_seed(SEED)
    again = judge.votes(model(batch).reconstruction for batch in images)
    drawn = judge.votes(model.sample(BATCH)[0] for _ in range(SAMPLES // BATCH))
    return {
        "test": share(of_test.mode().values == labels),
        "reconstruction": share(again.mode().values == labels),
        "test_unanimous": unanimous(of_test),
        "sample_unanimous": unanimous(drawn),
        "sample_digits": drawn.mode().values.bincount(minlength=10).tolist(),
        "is": f"by {NEIGHBOURS} nearest of {len(judge.labels)} training images in the shipped autoencoder's latents; "
        f"{len(labels)} test images, {SAMPLES} samples, seed {SEED}",
    }


def main() -> None:
    splits = load_data(DataRequest("mnist", None, size=SIDE, augment="none", symmetric=True))
    train, test = splits.train, splits.test
    assert isinstance(train, ImageTensors)
    assert isinstance(test, ImageTensors)
    judge = Judge(load_autoencoder("mnist")[0], train)
    batches = [test.fetch(indices) for indices in torch.arange(len(test)).split(BATCH)]
    images, labels = [x for x, _ in batches], torch.cat([y for _, y in batches])
    of_test = judge.votes(images)
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        if "recognised" not in result:
            model, _ = load_weights(RUNS / file.stem)
            assert isinstance(model, FSVAE)
            result["recognised"] = recognised(model.eval(), judge, images, labels, of_test)
            write_text(file, json.dumps(result, indent=2) + "\n")
        print(file.stem, result["recognised"])


if __name__ == "__main__":
    main()
