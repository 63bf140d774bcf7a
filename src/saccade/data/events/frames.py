"""From events to frames: T pictures of counts, one channel per polarity.

    clip = to_frames(events, FrameSpec(steps=10))          # uint8/16/32 [T, 2, H, W]

Letters: N events, T frames, H rows, W columns. Channel 0 counts OFF events, channel 1 ON events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saccade.data.events.kernels import kernels
from saccade.data.events.recording import Events, Size

Counts = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class FrameSpec:
    """How a recording is cut into `steps` frames.

    by="count": as many events in each, floor(N / T); the last frame takes the remainder too. This is SpikingJelly's
    `split_by="number"`, which the papers use. A recording with fewer events than frames fills the last frame alone.

    by="time": equal spans of time. Without `window_us` they cover the recording: frame(t) = min((t - t_first) // d, T
    - 1) with d = max(1, (t_last - t_first) // T), which is SpikingJelly's `split_by="time"`. With `window_us`, d is
    that many microseconds, and events after T * d are not used; the share that is used is reported.

    `size`: (height, width) of the frames, if not the sensor's. Coordinates are binned: pixel x falls in column x *
    width // sensor_width, so every event is counted once, exactly, in one place. (The released networks' average pool
    and bilinear resize blur instead, and divide.)
    """

    steps: int
    by: Literal["count", "time"] = "count"
    window_us: int | None = None
    size: Size | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"A clip needs 1 frame or more, not steps={self.steps}.")
        if self.by not in ("count", "time"):
            raise ValueError(f"Frames are cut by 'count' (of events) or by 'time', not by {self.by!r}.")
        if self.window_us is not None and (self.by != "time" or self.window_us < 1):
            raise ValueError(
                f"window_us is the length of a frame in microseconds, 1 or more, and goes with by='time'; it is "
                f"{self.window_us} with by={self.by!r}."
            )
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"Frames need 1 pixel or more in each direction, not {self.size}.")


@dataclass(frozen=True)
class Clip:
    """The frames of one recording, and how many of its events they hold."""

    frames: Counts
    used: int
    total: int

    @property
    def share(self) -> float:
        """Share of the recording's events that is in the frames."""
        return self.used / max(1, self.total)


def to_frames(events: Events, spec: FrameSpec) -> Clip:
    """Count the events of each frame.

    Returns:
        Frames [T, 2, H, W] in an unsigned type in which no count can overflow (see `smallest_type` for the smallest).

    Raises:
        ValueError: the sensor's size is unknown, or smaller than the frames.
    """
    if spec.by == "time" and events.backward_steps:
        order = np.argsort(events.t_us, kind="stable")
        events = replace(events, t_us=events.t_us[order], x=events.x[order], y=events.y[order], p=events.p[order])
    cuts = (
        count_cuts(len(events), spec.steps)
        if spec.by == "count"
        else time_cuts(events.t_us, spec.steps, spec.window_us)
    )
    if events.size is None:
        raise ValueError(
            "Frames need the sensor's size, which the recording does not say. Give it as size=(height, width)."
        )
    x, y, shape = events.x, events.y, events.size
    if spec.size not in (None, events.size):
        y, x, shape = *bin_coordinates(events, spec.size), spec.size
    largest = int((cuts[1:] - cuts[:-1]).max())  # no pixel can count more than its frame holds
    frames = np.zeros((spec.steps, 2, *shape), np.min_scalar_type(largest))
    kernels().count_events(x, y, events.p, cuts, frames)
    return Clip(frames, used=int(cuts[-1] - cuts[0]), total=len(events))


def count_cuts(n: int, steps: int) -> NDArray[np.int64]:
    """Where frames of equally many events begin and end: [T + 1]; frame k takes events cuts[k] up to cuts[k + 1]."""
    cuts = np.arange(steps + 1, dtype=np.int64) * (n // steps)
    cuts[-1] = n
    return cuts


def time_cuts(t_us: NDArray[np.int64], steps: int, window_us: int | None = None) -> NDArray[np.int64]:
    """Where frames of equally long time begin and end, for ascending times: [T + 1]. See `FrameSpec`."""
    if not len(t_us):
        return np.zeros(steps + 1, np.int64)
    length = window_us or max(1, int(t_us[-1] - t_us[0]) // steps)
    borders = t_us[0] + length * np.arange(steps + 1, dtype=np.int64)
    cuts = np.searchsorted(t_us, borders).astype(np.int64)
    if window_us is None:
        cuts[-1] = len(t_us)
    return cuts


def bin_coordinates(events: Events, size: Size) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Rows and columns of the events in frames of another size."""
    assert events.size is not None
    if size[0] > events.size[0] or size[1] > events.size[1]:
        raise ValueError(
            f"Frames of (height, width) {size} are larger than the sensor, {events.size}. Ask for a smaller size."
        )
    rows, columns = (
        (np.arange(old) * new // old).astype(np.uint16) for old, new in zip(events.size, size, strict=True)
    )
    return rows[events.y], columns[events.x]


def smallest_type(largest: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned integer type that holds a count."""
    return np.min_scalar_type(largest)
