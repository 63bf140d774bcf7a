"""Fashion-MNIST."""

from __future__ import annotations

from saccade.recipes.registry import recipe
from saccade.train.config import Experiment


@recipe
def fashion_tcja() -> Experiment:
    """Fashion-MNIST with TCJA, T = 8.

    Source: TCJA-SNN, IEEE TNNLS 2024, arXiv 2206.10177. No code was released for it: network and schedule are our
    reading (a network in the style of PLIF, Fang et al., ICCV 2021, arXiv 2007.05785; loss and optimiser as in TCJA's
    runs on DVS128 Gesture).
    Expected: 94.80 % test accuracy is reported in the paper, the maximum over epochs; not verified by us.
    Cost: 1024 epochs as published, so a GPU.
    Differs from the source: the last epoch counts, not the best on the test set.
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
