"""MNIST."""

from __future__ import annotations

from saccade.recipes.registry import Figures, recipe
from saccade.train.config import Experiment


@recipe(figures=Figures(parameters=871_968, sees=(1, 28, 28), gmacs=0.01158, samples=60_000))
def mnist_tcja() -> Experiment:
    """MNIST, all 60,000 + 10,000 samples, a small convolutional network with TCJA.

    Ours: TCJA's papers and code do not train on MNIST. There is no neuron on the output: rates between 0 and 1 leave
    the softmax of the cross-entropy flat.
    Expected: see the table in docs/results.md.
    Cost: see the table; an epoch is about a minute and a half on two cores.
    """
    return Experiment(
        recipe="mnist-tcja",
        model="fashion_net",
        attention="tcja",
        width=0.25,
        steps=4,
        model_options={"output_neuron": False, "dropout": 0.2},
        data="mnist",
        batch_size=128,
        optimizer="adamw",
        lr=3e-3,
        weight_decay=0.01,
        warmup_epochs=0.5,
        epochs=8,
        loss="tet",
    )
