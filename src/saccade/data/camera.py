"""A simulated event camera that looks at still images with a moving eye.

The way N-MNIST was recorded: a real camera made three small saccades along a triangle in front of each digit.
Orchard, Jayawant, Cohen, Thakor: "Converting static image datasets to spiking neuromorphic datasets using saccades",
Frontiers in Neuroscience 2015, arXiv 1507.07629. The pixel is the usual model of a dynamic vision sensor (Lichtsteiner,
Posch, Delbruck, IEEE JSSC 2008): it reports changes of log intensity, not intensity.

Letters: N images, T frames, H, W; S fine time steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

OFF, ON = 0, 1  # polarity channels


def saccade_path(corners: Sequence[tuple[float, float]], steps: int) -> Tensor:
    """Positions of the picture while it moves along straight lines from corner to corner: [steps + 1, 2].

    Every line (one saccade) takes the same time at constant speed. Corners and positions are displacements (down,
    right) in pixels; entry s is the position at time s / steps of the whole way.
    """
    if len(corners) < 2 or steps < 1:
        raise ValueError(f"A path needs two corners and one step or more, not {len(corners)} corners, {steps} steps.")
    points = torch.tensor(corners, dtype=torch.float64)
    time = torch.linspace(0, len(corners) - 1, steps + 1, dtype=torch.float64)
    line = time.long().clamp(max=len(corners) - 2)
    return torch.lerp(points[line], points[line + 1], (time - line)[:, None])


def simulate_camera(images: Tensor, path: Tensor, *, frames: int, threshold: float = 0.2, dark: float = 0.05) -> Tensor:
    """Event counts of a camera that sees the images move along a path.

    The picture is displaced by `path[s]` at fine step s (bilinear between pixels; past its border the border goes on).
    Each pixel remembers a reference, at first the log intensity l_0 that it sees at step 0, then moved by a threshold
    with every event: after k more ON than OFF events it is l_0 + k * threshold. With

        l_s = log(intensity_s + dark),     n_s = trunc((l_s - l_0) / threshold - k),     k <- k + n_s

    the pixel emits |n_s| events at step s, ON if n_s > 0 and OFF if n_s < 0: one for every threshold crossed since its
    last event. A change that stays below the threshold is kept, and counts when it has grown. Step s = 1..S falls in
    frame floor((s - 1) * frames / S), so frames are equal shares of the time.

    The camera has no noise, no refractory time, and one threshold for all pixels; it is deterministic.

    Args:
        images: intensities from 0 (black) up, [N, H, W], floating point.
        path: displacements (down, right) in pixels, [S + 1, 2]; see `saccade_path`.
        frames: T, at most S.
        threshold: log-intensity change that makes an event; 0.2 is about 22 % more or 18 % less light.
        dark: light that every pixel receives besides the picture; keeps the logarithm finite.

    Returns:
        Counts [T, N, 2, H, W] in the dtype of the images; channel 0 is OFF (darker), channel 1 is ON (brighter).

    Raises:
        ValueError: shapes that do not fit, more frames than steps, or a threshold or dark level that is not positive.
    """
    _check(images, path, frames, threshold, dark)
    steps = len(path) - 1
    scene = Scene(images, path)
    counts = images.new_zeros(frames, len(images), 2, *images.shape[1:])
    start = (scene.at(0) + dark).log_()
    # The reference as a whole number of thresholds, so that a pixel that sees l_0 again is exactly where it began.
    level = torch.zeros_like(start)
    for s in range(1, steps + 1):
        crossings = (((scene.at(s) + dark).log_() - start) / threshold - level).trunc_()
        level += crossings
        frame = counts[(s - 1) * frames // steps]
        frame[:, ON] += crossings.clamp(min=0)
        frame[:, OFF] -= crossings.clamp(max=0)
    return counts


class Scene:
    """Images that can be looked at from every position of a path."""

    def __init__(self, images: Tensor, path: Tensor) -> None:
        self.height, self.width = images.shape[1:]
        self.path: list[list[float]] = path.tolist()
        self.margin = math.ceil(max(abs(d) for position in self.path for d in position)) + 1
        self.padded = F.pad(images[:, None], (self.margin,) * 4, mode="replicate")[:, 0]

    def at(self, step: int) -> Tensor:
        """The images displaced by path[step]: value at pixel p is the bilinear value of the image at p - path[step]."""
        down, right = self.path[step]
        top, left = math.floor(-down), math.floor(-right)
        rows = self._slide(self.padded, 1, top, -down - top, self.height)
        return self._slide(rows, 2, left, -right - left, self.width)

    def _slide(self, x: Tensor, dim: int, whole: int, part: float, length: int) -> Tensor:
        start = self.margin + whole
        return torch.lerp(x.narrow(dim, start, length), x.narrow(dim, start + 1, length), part)


def _check(images: Tensor, path: Tensor, frames: int, threshold: float, dark: float) -> None:
    if images.ndim != 3 or not images.is_floating_point():
        raise ValueError(f"The camera takes floating-point images [N, H, W], not {list(images.shape)} {images.dtype}.")
    if path.ndim != 2 or path.shape[1] != 2 or len(path) < 2:
        raise ValueError(f"The path must be [S + 1, 2] positions (down, right), but is {list(path.shape)}.")
    if not 1 <= frames <= len(path) - 1:
        raise ValueError(f"frames must be 1 to the number of steps, {len(path) - 1}, not {frames}. Use a finer path.")
    if not (threshold > 0 and dark > 0):
        raise ValueError(f"threshold and dark must be positive, but are {threshold} and {dark}.")
