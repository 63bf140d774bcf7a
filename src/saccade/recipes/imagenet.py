"""ImageNet-1k, from a folder of images."""

from __future__ import annotations

from saccade.recipes.registry import ACCURACY, Figures, Reported, recipe
from saccade.recipes.sources import DTA
from saccade.train.config import Experiment


@recipe(
    figures=Figures(parameters=22_288_918, sees=(3, 224, 224), gmacs=296.79, samples=1_281_167),
    reported=Reported(71.29, ACCURACY, DTA),
)
def imagenet_dta() -> Experiment:
    """ImageNet-1k, MS-ResNet-34 with DTA, T = 6. Give the folder with train/ and val/ as `--data-root`.

    Source: DTA-SNN, Kim, Kim, Yang, WACV 2025, arXiv 2503.10052, and its released code, which cannot run on ImageNet
    as it is; sizes and schedule are the ones written there.
    Expected: not run by us. The strides are those written in the released class, which keeps feature maps of 112 x 112
    for seven blocks and costs about 14 times a ResNet-34; other code of the family halves them before.
    Cost: 200 epochs of 1.28 million images at 297 GMAC forward each (49 a step): many GPUs.
    Differs from the source: test images are resized to 256 and cropped to 224 at their centre; the rest: cifar10-dta.
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
