"""What a recording of an event camera is, once read, and the error for one that cannot be.

Letters: N events, H rows, W columns. Row 0 is the top of the picture, column 0 its left side, as the files have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: (height, width) of a sensor or a frame, in pixels
Size = tuple[int, int]


class RecordingError(ValueError):
    """A recording that cannot be read; the message names the file, what is wrong with it, and where."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"Cannot read {path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[RecordingError], tuple[Path, str]]:
        return type(self), (self.path, self.problem)  # the default would pickle the message alone


@dataclass(frozen=True)
class Events:
    """The events of one recording, in the order of the file.

    `t_us` int64 microseconds; `x`, `y` uint16 pixels; `p` bool, True for ON (brighter); all [N]. `size` is the
    sensor's, or None if neither the file nor the caller said. `skipped` counts what the file holds besides: events
    that it marks as invalid, and events without a pixel (synchronisation, external triggers).
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    p: NDArray[np.bool_]
    size: Size | None = None
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.t_us)

    @property
    def duration_us(self) -> int:
        """From the first event to the last; 0 if there are none."""
        return int(self.t_us.max() - self.t_us.min()) if len(self) else 0

    @cached_property
    def backward_steps(self) -> int:
        """How often the clock goes back from one event to the next; 0 in a sound recording."""
        return int(np.count_nonzero(self.t_us[1:] < self.t_us[:-1]))

    def between(self, start_us: int, end_us: int) -> Events:
        """The events with start_us <= t < end_us."""
        inside = (self.t_us >= start_us) & (self.t_us < end_us)
        return replace(self, t_us=self.t_us[inside], x=self.x[inside], y=self.y[inside], p=self.p[inside])


def check_events(path: Path, events: Events, where: Callable[[int], str]) -> Events:
    """`events` if there are any and all lie on the sensor, else a RecordingError.

    `where(i)` says where in the file the i-th event stands.
    """
    if not len(events):
        raise RecordingError(path, "it holds no events.")
    if events.size is not None:
        height, width = events.size
        if int(events.x.max()) >= width or int(events.y.max()) >= height:
            i = int(np.argmax((events.x >= width) | (events.y >= height)))
            raise RecordingError(
                path,
                f"event {i} of {len(events)} ({where(i)}) is at x={events.x[i]}, y={events.y[i]}, outside the sensor "
                f"of {width} x {height} pixels. The file is damaged, or it is from another camera.",
            )
    return events
