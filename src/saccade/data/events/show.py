"""A recording as a picture: its frames side by side, and its events in space and time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from saccade.atomic import replacing
from saccade.data.events.frames import Clip, FrameSpec, to_frames
from saccade.data.events.recording import Events
from saccade.errors import require

# More points make the cloud no clearer, and the file slow to draw.
MOST_POINTS = 20_000
# Blue darker, red brighter; seen apart by nearly everybody.
OFF_COLOUR, ON_COLOUR = "#2166ac", "#b2182b"
# The count that is drawn in full colour: larger than this percentage of those that are not zero. A few hot pixels do
# not leave the rest pale then.
FULL_COLOUR_PERCENT = 95
MOST_COLUMNS = 10
SUFFIXES = (".png", ".svg", ".pdf")
COLUMN_INCHES, CLOUD_INCHES = 1.3, 4.0


def draw_recording(events: Events, spec: FrameSpec, title: str, path: Path) -> None:
    """Write a picture (.png, .svg or .pdf) of T frames and of the events in space and time.

    Blue counts OFF events, red counts ON events.
    """
    figure_module = require("matplotlib.figure", "train")
    clip = to_frames(events, spec)
    columns = min(MOST_COLUMNS, spec.steps)
    rows = -(-spec.steps // columns)
    height, width = clip.frames.shape[2:]
    frames_inches = 0.5 + rows * (0.2 + COLUMN_INCHES * height / width)
    page = max(6.0, COLUMN_INCHES * columns), frames_inches + CLOUD_INCHES
    figure = figure_module.Figure(figsize=page, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(frames_inches, CLOUD_INCHES))
    top.suptitle(f"{title}\n{describe(events, clip)}", fontsize=9)
    _draw_frames(top, clip, rows, columns)
    _draw_cloud(bottom, events)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.removeprefix("."))


def describe(events: Events, clip: Clip) -> str:
    """One line of numbers."""
    on = np.count_nonzero(events.p) / max(1, len(events))
    return (
        f"{len(events):,} events in {events.duration_us / 1e6:.3f} s, {on:.0%} ON; "
        f"{len(clip.frames)} frames hold {clip.share:.1%} of them"
    )


def frame_colours(clip: Clip) -> np.ndarray:
    """The frames as pictures [T, H, W, 3] from 0 to 1: white without events, blue for OFF, red for ON."""
    full = np.percentile(clip.frames[clip.frames > 0], FULL_COLOUR_PERCENT) if clip.used else 1.0
    strength = np.minimum(clip.frames / full, 1.0)[..., None]  # [T, 2, H, W, 1]
    to_rgb = require("matplotlib.colors", "train").to_rgb
    off, on = (1 - np.array(to_rgb(colour)) for colour in (OFF_COLOUR, ON_COLOUR))
    return np.clip(1 - strength[:, 0] * off - strength[:, 1] * on, 0, 1)


def _draw_frames(figure: Any, clip: Clip, rows: int, columns: int) -> None:
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    for k, (axis, picture) in enumerate(zip(axes, frame_colours(clip), strict=False)):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(f"{k}", fontsize=7)
    for axis in axes[len(clip.frames) :]:
        axis.set_axis_off()


def _draw_cloud(figure: Any, events: Events) -> None:
    assert events.size is not None
    height, width = events.size
    shown = np.linspace(0, len(events) - 1, min(len(events), MOST_POINTS)).astype(int)
    t_ms = (events.t_us[shown] - events.t_us.min()) / 1e3
    axis = figure.add_subplot(projection="3d", box_aspect=(2.2, 1, height / width))
    colours = np.where(events.p[shown], ON_COLOUR, OFF_COLOUR)
    axis.scatter(t_ms, events.x[shown], height - 1 - events.y[shown].astype(int), s=1, c=colours, depthshade=False)
    axis.set(xlabel="time (ms)", ylabel="x (pixels)", zlabel="up (pixels)", ylim=(0, width), zlim=(0, height))
    axis.tick_params(labelsize=6)
