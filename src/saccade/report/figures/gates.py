"""Gates as matrices of steps and channels, and as maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.report.figures.style import WIDTH, bare, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def gate_figure(matrix: np.ndarray, sample: np.ndarray | None = None, space: np.ndarray | None = None) -> Figure:
    """A gate: its T x C means over a batch and for one sample, on one scale, and its T maps if it has space.

    Args:
        matrix: [T, C], mean over batch, height and width.
        sample: the same of one sample.
        space: [T, H, W], mean over channels, of one sample.
    """
    panels = [("mean over the batch", matrix)]
    panels += [("one sample", sample)] if sample is not None else []
    T = len(matrix)
    height = max(0.9, 0.14 * T + 0.55)
    maps = 0 if space is None else 1.3
    rows = len(panels) + (space is not None)
    figure, axes = new_figure(
        WIDTH, height * len(panels) + maps + 0.4, rows, 1, height_ratios=_ratios(panels, height, maps)
    )
    low = min(float(values.min()) for _, values in panels)
    high = max(float(values.max()) for _, values in panels)
    image: Any = None
    for axis, (title, values) in zip(axes[:, 0], panels, strict=False):
        image = axis.imshow(values, aspect="auto", cmap="viridis", vmin=low, vmax=max(high, low + 1e-6))
        axis.set_title(f"{title}: {values.flat[0]:.3g} everywhere" if np.ptp(values) == 0 else title)
        axis.set_ylabel("step")
        axis.set_yticks(range(0, T, max(1, T // 5)), range(1, T + 1, max(1, T // 5)))
    axes[len(panels) - 1, 0].set_xlabel("channel")
    bar = figure.colorbar(image, ax=list(axes[: len(panels), 0]), aspect=12 * len(panels), pad=0.02)
    bar.outline.set_visible(False)
    if space is not None:
        _maps(axes[-1, 0], space)
    return figure


def _maps(axis: Any, space: np.ndarray) -> None:
    """The maps of all steps side by side in one image."""
    T, _, W = space.shape
    gap = np.full((space.shape[1], max(1, W // 12)), np.nan)
    strip = np.hstack([piece for frame in space for piece in (frame, gap)][:-1])
    axis.imshow(strip, cmap="viridis", aspect="equal")
    bare(axis)
    axis.set_title(f"the sample's maps, steps 1 to {T} (mean over channels, own scale)", fontsize=10)


def _ratios(panels: list[Any], height: float, maps: float) -> list[float]:
    return [height] * len(panels) + ([maps] if maps else [])
