"""From events to frames: T pictures of counts, one channel per polarity.

    clip = to_frames(events, FrameSpec(steps=10))          # uint8/16/32 [T, 2, H, W]

Letters: N events, T frames, H rows, W columns. Channel 0 counts OFF events, channel 1 ON events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saccade.data.events.kernels import count_events
from saccade.data.events.recording import MOST_PIXELS, Events, Size, require_on_sensor

Counts = NDArray[np.unsignedinteger]
# A slip in a number should not fill the machine: so many frames, and so much memory for those of one recording.
MOST_STEPS = 2**16
MOST_BYTES = 2**30
# Times past this would overflow when they are subtracted.
MOST_US = 2**61


@dataclass(frozen=True)
class FrameSpec:
    """How a recording is cut into `steps` frames.

    by="count": as many events in each, floor(N / T); the last frame takes the remainder too. This is SpikingJelly's
    `split_by="number"`, which the papers use. A recording with fewer events than frames fills the last frame alone.

    by="time": equal spans of time. Without `window_us` they cover the recording: frame(t) = min((t - t_first) // d, T
    - 1) with d = max(1, (t_last - t_first) // T), which is SpikingJelly's `split_by="time"`. With `window_us`, d is
    that many microseconds, and events after T * d are not used; the share that is used is reported.

    `size`: (height, width) of the frames, or one number for both, if not the sensor's. Coordinates are binned: pixel x
    falls in column x * width // sensor_width, so every event is counted once, exactly, in one place. (The released
    networks' average pool and bilinear resize blur instead, and divide.)
    """

    steps: int
    by: Literal["count", "time"] = "count"
    window_us: int | None = None
    size: Size | int | None = None

    def __post_init__(self) -> None:
        steps = _whole("steps, the number of frames,", self.steps)
        if not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"A clip needs 1 frame or more, not steps={self.steps}; {MOST_STEPS:,} are the most.")
        if self.by not in ("count", "time"):
            raise ValueError(f"Frames are cut by 'count' (of events) or by 'time', not by {self.by!r}.")
        window_us = None if self.window_us is None else _whole("window_us", self.window_us)
        if window_us is not None and (self.by != "time" or window_us < 1):
            raise ValueError(
                f"window_us is the length of a frame in microseconds, 1 or more, and goes with by='time'; it is "
                f"{self.window_us} with by={self.by!r}."
            )
        for name, value in (("steps", steps), ("window_us", window_us), ("size", _pair(self.size))):
            object.__setattr__(self, name, value)

    @property
    def frame_size(self) -> Size | None:
        """(height, width) of the frames; None: the sensor's."""
        assert not isinstance(self.size, int)
        return self.size


def _whole(name: str, value: object) -> int:
    """A whole number of any type but bool, as an int."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    raise ValueError(f"{name} must be a whole number, not {value!r}.")


def _pair(size: object) -> Size | None:
    """(height, width) from a pair or from one number for both."""
    if size is None:
        return None
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    sides = [_whole("A side of the frames, in pixels,", side) for side in pair]
    if len(sides) != 2 or not all(1 <= side <= MOST_PIXELS for side in sides):
        raise ValueError(f"Frames need 1 pixel or more in each direction, (height, width), not {size}.")
    return sides[0], sides[1]


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
        ValueError: the sensor's size is unknown, or smaller than the frames; an event outside the sensor; times that
            are too large to be subtracted; frames that would take more than 1 GiB.
    """
    require_on_sensor(events)
    assert events.size is not None
    shape = spec.frame_size or events.size
    if spec.by == "time" and events.backward_steps:
        order = np.argsort(events.t_us, kind="stable")
        events = replace(events, t_us=events.t_us[order], x=events.x[order], y=events.y[order], p=events.p[order])
    cuts = (
        count_cuts(len(events), spec.steps)
        if spec.by == "count"
        else time_cuts(events.t_us, spec.steps, spec.window_us)
    )
    x, y = events.x, events.y
    if shape != events.size:
        y, x = bin_coordinates(events, shape)
    largest = int((cuts[1:] - cuts[:-1]).max())  # no pixel can count more than its frame holds
    kind = np.min_scalar_type(largest)
    if spec.steps * 2 * shape[0] * shape[1] * kind.itemsize > MOST_BYTES:
        raise ValueError(
            f"{spec.steps:,} frames of {shape[0]} x {shape[1]} pixels take more than {MOST_BYTES // 2**30} GiB for one "
            "recording. Ask for fewer steps or a smaller size."
        )
    frames = np.zeros((spec.steps, 2, *shape), kind)
    count_events(x, y, events.p, cuts, frames)
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
    first, last = int(t_us[0]), int(t_us[-1])
    if not -MOST_US < first <= last < MOST_US:
        raise ValueError(f"Times must lie within ±2^61 us to be cut into frames, but go from {first} to {last} us.")
    span = last - first
    length = max(1, span // steps) if window_us is None else min(window_us, span + 1)
    past_all = span // length + 1  # the first border after the last event; counting on would overflow
    borders = first + length * np.minimum(np.arange(steps + 1, dtype=np.int64), past_all)
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
