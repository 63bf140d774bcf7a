"""ImageNet-1k, from a folder of images."""

from __future__ import annotations

from saccade.recipes.registry import recipe
from saccade.train.config import Experiment


@recipe
def imagenet_dta() -> Experiment:
    """ImageNet-1k, MS-ResNet-34 with DTA, T = 6. Give the folder with train/ and val/ as `--data-root`.

    Source: DTA-SNN, Kim, Kim, Yang, WACV 2025, arXiv 2503.10052, and its released code, which cannot run on ImageNet
    as it is; sizes and schedule are the ones written there.
    Expected: 71.29 % test accuracy is reported, the maximum over epochs; not verified by us.
    Cost: 200 epochs of 1.28 million images at 48.5 GMAC per step and image: many GPUs. Not run by us.
    Differs from the source: see cifar10-dta.
    """
    return Experiment(
        recipe="imagenet-dta",
        model="msresnet34",
        attention="dta",
        steps=6,
        data="folder",
        image_size=224,
        batch_size=128,
        workers=8,
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-5,
        epochs=200,
    )
