"""The built-in data set, without any download: real handwritten digits before a simulated event camera.

The digits are the 1,797 of scikit-learn, 8x8 pixels with 17 grey levels: the test part of "Optical recognition of
handwritten digits" (Alpaydin, Kaynak, UCI 1998), written by 13 people. The camera makes three saccades along a
triangle, as for N-MNIST (Orchard et al. 2015, arXiv 1507.07629).

Split: every fifth sample of every class, in file order, is the test part. The file goes through its writers in blocks,
so both parts hold digits of all of them, as with the random splits that are usual for this set: a score says how well
unseen digits of known hands are read, and is a few points higher than on unseen hands.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.data.camera import saccade_path, simulate_camera
from saccade.data.catalog import DataInfo, DataRequest, DataSplits, register_data
from saccade.data.memory import require_room, splits_in_memory
from saccade.data.split import split_every
from saccade.errors import require

SIZE = 16
TEST_EVERY = 5
# Side of the digit, and how far the eye moves, as shares of the canvas: 12 and 2 pixels of 16.
DIGIT_SHARE, SWING_SHARE = 0.75, 0.125
# Down-right, up-right, back to the left: as on N-MNIST, the eye ends where it began.
TRIANGLE = ((0.0, 0.0), (1.0, 0.5), (0.0, 1.0), (0.0, 0.0))
FINE_STEPS = 60
# Counts are divided by this, so that an active pixel is a current of about 1 in a frame.
EVENTS_PER_UNIT = 4.0
# The camera counts in float32: so many at a time.
COUNTS_AT_ONCE = 2**25


@register_data(
    "digits", "built in: 1,797 real 8x8 digits before a simulated event camera, 10 classes", None, temporal=True
)
def load_digits(request: DataRequest) -> DataSplits:
    """Event frames [T, 2, H, W] of three saccades, T equal shares of the time; channel 0 is OFF, channel 1 is ON.

    Raises:
        ValueError: a size below 8 pixels.
    """
    size = request.size or SIZE
    if size < 8:
        raise ValueError(f"digits needs a size of 8 pixels or more, not {size}.")
    bunch = require("sklearn.datasets", "train").load_digits()
    labels = torch.from_numpy(bunch.target).long()
    frames = record(torch.from_numpy(bunch.images).float() / 16, request.steps, size)
    kept, test = split_every(labels, TEST_EVERY)
    info = DataInfo(
        name=request.name,
        num_classes=10,
        in_channels=2,
        size=(size, size),
        temporal=True,
        class_names=tuple(str(digit) for digit in range(10)),
        note="1,797 real digits (UCI, 8x8) before a simulated event camera; test: every fifth of each class",
    )
    parts = [(frames[part], labels[part]) for part in (kept, test)]
    return splits_in_memory(request, info, parts[0], parts[1], (0.0,), (EVENTS_PER_UNIT,), "shift1")


def record(digits: Tensor, steps: int, size: int) -> Tensor:
    """Intensities [N, 8, 8] from 0 to 1 -> event counts [N, T, 2, size, size] as uint8."""
    require_room(len(digits) * steps * 2 * size * size, f"{len(digits):,} digits with {steps:,} frames each")
    side = round(size * DIGIT_SHARE)
    margin = size - side
    swing = size * SWING_SHARE
    corners = [(swing * (down - 0.5), swing * (right - 0.5)) for down, right in TRIANGLE]  # centred on the canvas
    path = saccade_path(corners, max(FINE_STEPS, steps))
    recorded = torch.empty(len(digits), steps, 2, size, size, dtype=torch.uint8)  # once: no copy of all of it
    at_once = max(1, COUNTS_AT_ONCE // (steps * 2 * size * size))
    for few, place in zip(digits.split(at_once), recorded.split(at_once), strict=True):
        scenes = F.interpolate(few[:, None], (side, side), mode="bicubic", align_corners=False).clamp(0, 1)
        scenes = F.pad(scenes, (margin // 2, margin - margin // 2) * 2)[:, 0]
        counts = simulate_camera(scenes, path, frames=steps)
        place.copy_(counts.clamp_(max=255).transpose(0, 1))
    return recorded
