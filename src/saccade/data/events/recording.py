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

from saccade.files import FileError

#: (height, width) of a sensor or a frame, in pixels
Size = tuple[int, int]
#: the columns of `Events`, and their types
COLUMNS = {"t_us": "int64", "x": "uint16", "y": "uint16", "p": "bool"}
#: in each direction: coordinates are 16 bits
MOST_PIXELS = 2**16


class RecordingError(FileError):
    """A recording that cannot be read; the message names the file, what is wrong with it, and where."""


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

    def __post_init__(self) -> None:
        """ValueError for columns of other types or unlike lengths, or a sensor without pixels."""
        for name, kind in COLUMNS.items():
            column = np.asarray(getattr(self, name))
            if column.dtype != kind or column.shape != (len(self.t_us),):
                raise ValueError(
                    f"Events take {name} as an array of {kind} [{len(self.t_us)}], as long as t_us, but it is "
                    f"{column.dtype} {list(column.shape)}. If its values fit, convert it: {name}.astype('{kind}')."
                )
        if self.size is not None and not (len(self.size) == 2 and all(1 <= side <= MOST_PIXELS for side in self.size)):
            raise ValueError(
                f"A sensor has (height, width) of 1 to {MOST_PIXELS:,} pixels each, but size is {self.size}."
            )

    def __len__(self) -> int:
        return len(self.t_us)

    @property
    def duration_us(self) -> int:
        """From the first event to the last; 0 if there are none."""
        return int(self.t_us.max()) - int(self.t_us.min()) if len(self) else 0

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
    if (i := first_outside(events)) is not None:
        raise RecordingError(
            path, f"{_outside(events, i, f' ({where(i)})')} The file is damaged, or it is from another camera."
        )
    return events


def require_on_sensor(events: Events) -> None:
    """ValueError if an event lies outside the sensor, or its size is unknown."""
    if events.size is None:
        raise ValueError(
            "Frames need the sensor's size, which the recording does not say. Give it as size=(height, width)."
        )
    if (i := first_outside(events)) is not None:
        raise ValueError(f"The {_outside(events, i)} Give the size of the sensor that recorded them.")


def first_outside(events: Events) -> int | None:
    """The first event that lies outside the sensor; None if there is none, or the size is unknown."""
    if events.size is None or not len(events):
        return None
    height, width = events.size
    if int(events.x.max()) < width and int(events.y.max()) < height:
        return None
    return int(np.argmax((events.x >= width) | (events.y >= height)))


def _outside(events: Events, i: int, where: str = "") -> str:
    assert events.size is not None
    height, width = events.size
    return (
        f"event {i} of {len(events)}{where} is at x={events.x[i]}, y={events.y[i]}, outside the sensor of "
        f"{width} x {height} pixels."
    )
