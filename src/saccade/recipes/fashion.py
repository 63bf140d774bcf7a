"""Fashion-MNIST."""

from __future__ import annotations

from saccade.recipes.registry import ACCURACY, Figures, Reported, recipe
from saccade.recipes.sources import TCJA
from saccade.train.config import Experiment


@recipe(
    figures=Figures(parameters=13_330_560, sees=(1, 28, 28), gmacs=0.3439, samples=60_000),
    reported=Reported(94.8, ACCURACY, TCJA),
)
def fashion_tcja() -> Experiment:
    """Fashion-MNIST with TCJA, T = 8.

    Source: TCJA-SNN, IEEE TNNLS 2024, arXiv 2206.10177. No code was released for it: network and schedule are our
    reading (a network in the style of PLIF, Fang et al., ICCV 2021, arXiv 2007.05785; loss and optimiser as in TCJA's
    runs on DVS128 Gesture).
    Expected: not run by us.
    Cost: 1,024 epochs of 60,000 images at 0.34 GMAC forward each, as in the other runs of the paper: a GPU.
    Differs from the source: images are shifted by up to 2 pixels and mirrored (what the paper does is not known to us;
    `--augment none` leaves them as they are); the last epoch counts, not the best on the test set.
    """
    return Experiment(
        recipe="fashion-tcja",
        model="fashion_net",
        attention="tcja",
        steps=8,
        data="fashion-mnist",
        batch_size=16,
        loss="mse",
        optimizer="adam",
        lr=1e-3,
        epochs=1024,
    )
