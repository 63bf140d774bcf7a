"""The event data sets by name."""

from __future__ import annotations

from saccade.data.events.sets.base import Archive, EventSet, Found, Recording
from saccade.data.events.sets.caltech import N_CALTECH101
from saccade.data.events.sets.cifar10dvs import CIFAR10_DVS
from saccade.data.events.sets.gesture import DVS128_GESTURE
from saccade.data.events.sets.nmnist import NMNIST
from saccade.data.events.sets.own import RECORDINGS
from saccade.data.events.splits import TEST, TRAIN
from saccade.errors import unknown_name

__all__ = ["EVENT_SETS", "TEST", "TRAIN", "Archive", "EventSet", "Found", "Recording", "event_set"]

EVENT_SETS = {s.name: s for s in (NMNIST, CIFAR10_DVS, DVS128_GESTURE, N_CALTECH101, RECORDINGS)}
"""The sets of recordings by name."""


def event_set(name: str) -> EventSet:
    """The set of that name, or a ValueError with the nearest names."""
    if name not in EVENT_SETS:
        raise unknown_name("event data set", name, EVENT_SETS)
    return EVENT_SETS[name]
