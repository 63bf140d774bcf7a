"""Draw the README's picture from a trained run on the digits.

python benchmarks/picture.py RUN_DIR        # writes docs/saccade.png; RUN_DIR: of saccade train --attention tcja
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saccade.data import DataRequest, load_data
from saccade.models.weights import load_weights
from saccade.probe import Gate, read_gates

TARGET = Path(__file__).resolve().parent.parent / "docs" / "saccade.png"
SAMPLE = 3


def frame(ax: Axes, counts: torch.Tensor, title: str) -> None:
    """One event frame [2, H, W], OFF and ON, as blue to red."""
    difference = counts[1] - counts[0]
    ax.imshow(difference, cmap="RdBu_r", vmin=-1.5, vmax=1.5, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_xticks([])
    ax.set_yticks([])


def gate(figure: Figure, ax: Axes, shown: Gate, sample: int) -> None:
    """The gate of one sample, channels from left to right, steps from top to bottom."""
    image = ax.imshow(shown.matrix(sample), cmap="viridis", aspect="auto", interpolation="nearest")
    ax.set_xlabel(f"channel ({shown.kind} in {shown.layer.removesuffix('.attention')})", fontsize=9)
    ax.set_ylabel("step", fontsize=9)
    ax.set_yticks(range(shown.shape[0]), [str(t + 1) for t in range(shown.shape[0])], fontsize=8)
    ax.tick_params(labelsize=8)
    figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03).ax.tick_params(labelsize=8)


def draw(run: Path) -> Figure:
    model, _ = load_weights(run)
    test = load_data(DataRequest("digits", steps=model.steps, augment="none")).test
    x_BTCHW = torch.stack([test[i][0] for i in range(16)])
    gates = read_gates(model, x_BTCHW.transpose(0, 1))
    T = model.steps
    figure = plt.figure(figsize=(10, 4.6), dpi=100)
    grid = figure.add_gridspec(
        2, 2 * T, height_ratios=(1, 1), wspace=0.6, hspace=0.25, left=0.05, right=0.96, top=0.94, bottom=0.1
    )
    for t in range(T):
        frame(figure.add_subplot(grid[0, 2 * t : 2 * t + 2]), x_BTCHW[SAMPLE, t], f"step {t + 1}")
    gate(figure, figure.add_subplot(grid[1, : T - 1]), gates[0], SAMPLE)
    gate(figure, figure.add_subplot(grid[1, T:]), gates[-1], SAMPLE)
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw(Path(sys.argv[1])).savefig(TARGET)
    print(TARGET)
