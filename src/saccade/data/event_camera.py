"""Event recordings of still images: every event with its time, and the faults of a real sensor as options.

The pixel is that of `simulate_camera` (Lichtsteiner, Posch, Delbruck, IEEE JSSC 2008): an event for every threshold
that the log intensity has crossed since the last one. What a real pixel does besides, as in v2e (Hu, Liu, Delbruck,
CVPRW 2021, arXiv 2006.07722): thresholds differ from pixel to pixel, it is deaf for a while after an event, and it
reports now and then without a reason.

The eye moves as for N-MNIST (Orchard et al. 2015, arXiv 1507.07629): three saccades along a triangle, each a smooth
start and stop.

Letters: N images, H, W; S fine time steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.data.camera import Scene

#: displacements (down, right) in pixels, one saccade from each to the next
TRIANGLE = ((-1.5, -2.75), (3.0, 0.0), (-1.5, 2.75), (-1.5, -2.75))


@dataclass(frozen=True)
class EventCamera:
    """A sensor and the movement before it.

    The defaults are set by recordings of N-MNIST: path, duration, deaf time and noise are read off them, and the
    threshold is such that the same digits of MNIST make about as many events (compared in docs/data-events.md).
    """

    #: log-intensity change that makes an event
    threshold: float = 0.28
    #: light that every pixel receives besides the picture, as a share of white
    dark: float = 0.1
    #: standard deviation of the thresholds over pixels, as a share
    mismatch: float = 0.03
    #: events without a reason, per pixel and second, half of them ON
    noise_hz: float = 0.4
    #: for so long a pixel is deaf after an event; then it starts from the light that it sees
    refractory_us: float = 1000.0
    duration_us: float = 306_000.0
    corners: tuple[tuple[float, float], ...] = TRIANGLE
    #: fine time steps; of the deaf time there should be no more than a few
    steps: int = 306
    #: of thresholds and noise
    seed: int = 0

    def __post_init__(self) -> None:
        positive = (self.threshold, self.dark, self.duration_us, self.steps)
        others = (self.mismatch, self.noise_hz, self.refractory_us)
        if not all(0 < value < math.inf for value in positive) or not all(0 <= value < math.inf for value in others):
            raise ValueError(
                "A camera needs a threshold, dark light, duration and steps above 0, and mismatch, noise and "
                f"refractory time of 0 or more, not {self}."
            )
        if len(self.corners) < 2 or not all(abs(d) < 1000 for corner in self.corners for d in corner):
            raise ValueError(f"A path needs two corners (down, right) or more, below 1,000 pixels: {self.corners}.")
        if self.mismatch > 0.2:
            raise ValueError(f"mismatch is a share of the threshold, 0.2 at most, not {self.mismatch}.")

    def path(self) -> Tensor:
        """Where the picture is at the end of every fine step: [S + 1, 2], (down, right) in pixels.

        Every saccade takes as long as the others, at a speed that rises and falls as 1 - cos(2 pi share).
        """
        points = torch.tensor(self.corners, dtype=torch.float64)
        time = torch.linspace(0, len(points) - 1, self.steps + 1, dtype=torch.float64)
        line = time.long().clamp(max=len(points) - 2)
        share = time - line
        share = share - torch.sin(2 * math.pi * share) / (2 * math.pi)
        return torch.lerp(points[line], points[line + 1], share[:, None])


#: columns of the events of many images: number of the image, t_us, x, y, p
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint16], NDArray[np.bool_]]


def simulate_events(images: Tensor, camera: EventCamera, first: int = 0) -> Columns:
    """The events of a camera that looks at images, image by image and in order of time.

    Args:
        images: intensities from 0 (black) to 1 (white), [N, H, W], float32.
        camera: see there.
        first: number of the first image in its data set. Noise depends on (camera.seed, number) alone, so images may
            be simulated in any portions.

    Returns:
        Number of the image from 0, time, column, row and polarity of every event.

    Time of an event: where the log intensity, straight between two fine steps, crosses the threshold. With a refractory
    time a pixel reports at most one event per fine step.
    """
    if images.ndim != 3 or not images.is_floating_point():
        raise ValueError(f"The camera takes floating-point images [N, H, W], not {list(images.shape)} {images.dtype}.")
    scene = Scene(images, camera.path())
    threshold = _thresholds(camera, *images.shape[1:]).to(images.dtype)
    before = (scene.at(0) + camera.dark).log_()
    start = before.clone()  # the reference is start + level * threshold
    level = torch.zeros_like(start)
    deaf_until = torch.zeros_like(start)
    step_us = camera.duration_us / camera.steps
    events = []
    for s in range(1, camera.steps + 1):
        now = (scene.at(s) + camera.dark).log_()
        crossings = ((now - start) / threshold - level).trunc_()
        if camera.refractory_us:
            end = s * step_us
            waking = (deaf_until > 0) & (deaf_until <= end)
            start, level = torch.where(waking, now, start), level.masked_fill_(waking, 0)
            deaf_until.masked_fill_(waking, 0)
            crossings = crossings.clamp_(-1, 1).masked_fill_(waking | (deaf_until > 0), 0)
        found = crossings.nonzero(as_tuple=True)
        if len(found[0]):
            times = _times(found, crossings, level, start, threshold, before, now)
            events.append(_rows(found, crossings[found], times, (s - 1) * step_us, step_us))
            if camera.refractory_us:
                deaf_until[found] = torch.from_numpy(events[-1][1]).to(deaf_until.dtype) + camera.refractory_us
            level += crossings
        before = now
    events += [_noise(camera, n, first, *images.shape[1:]) for n in range(len(images)) if camera.noise_hz]
    return _in_order(events)


def _thresholds(camera: EventCamera, height: int, width: int) -> Tensor:
    """One for each pixel of the sensor, the same for all images: [H, W]."""
    draws = np.random.default_rng(camera.seed).standard_normal((height, width))
    return torch.from_numpy(camera.threshold * np.clip(1 + camera.mismatch * draws, 0.2, 2.0))


def _times(
    found: tuple[Tensor, ...],
    crossings: Tensor,
    level: Tensor,
    start: Tensor,
    threshold: Tensor,
    before: Tensor,
    now: Tensor,
) -> tuple[Tensor, Tensor]:
    """For every event its place in the list of pixels, and when it comes as a share of the step."""
    count = crossings[found].abs().long()
    place = torch.repeat_interleave(torch.arange(len(count)), count)
    number = torch.arange(len(place)) - (count.cumsum(0) - count)[place] + 1  # 1, 2, ... within its pixel
    at = tuple(index[place] for index in found)
    theta = threshold[at[1], at[2]]
    crossed = start[at] + (level[at] + crossings[at].sign() * number) * theta
    share = (crossed - before[at]) / (now[at] - before[at])
    return place, share.clamp_(0, 1)


def _rows(
    found: tuple[Tensor, ...], sign: Tensor, times: tuple[Tensor, Tensor], begin_us: float, step_us: float
) -> Columns:
    (n, y, x), (place, share) = found, times
    t = (begin_us + share.double() * step_us).long()
    return (
        n[place].numpy(),
        t.numpy(),
        x[place].numpy().astype(np.uint16),
        y[place].numpy().astype(np.uint16),
        (sign[place] > 0).numpy(),
    )


def _noise(camera: EventCamera, n: int, first: int, height: int, width: int) -> Columns:
    draw = np.random.default_rng((camera.seed, first + n))
    count = int(draw.poisson(camera.noise_hz * camera.duration_us * 1e-6 * height * width))
    return (
        np.full(count, n),
        draw.uniform(0, camera.duration_us, count).astype(np.int64),
        draw.integers(width, size=count).astype(np.uint16),
        draw.integers(height, size=count).astype(np.uint16),
        draw.random(count) < 0.5,
    )


def _in_order(events: list[Columns]) -> Columns:
    if not events:
        events = [(np.empty(0, np.int64),) * 2 + (np.empty(0, np.uint16),) * 2 + (np.empty(0, np.bool_),)]
    n, t, x, y, p = (np.concatenate([part[i] for part in events]) for i in range(5))
    order = np.lexsort((t, n))
    return n[order], t[order], x[order], y[order], p[order]
