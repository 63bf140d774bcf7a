"""Recordings of event cameras: read, cut into frames, cached, split.

    from saccade.data.events import FrameSpec, read_events, to_frames

    events = read_events("Train/3/00008.bin", size=(34, 34))
    frames = to_frames(events, FrameSpec(steps=10)).frames       # counts [T, 2, H, W]

The sets themselves come through `load_data(DataRequest("nmnist", steps=10))`.
"""

from saccade.data.events.cache import make_plan, prepare
from saccade.data.events.dataset import EventClips
from saccade.data.events.frames import Clip, FrameSpec, to_frames
from saccade.data.events.load import split_store
from saccade.data.events.readers import read_events
from saccade.data.events.recording import Events, RecordingError
from saccade.data.events.sets import EVENT_SETS, event_set
from saccade.data.events.simulated import SIMULATED, load_simulated
from saccade.data.events.store import DamagedCacheError, FrameStore, open_store

__all__ = [
    "EVENT_SETS",
    "SIMULATED",
    "Clip",
    "DamagedCacheError",
    "EventClips",
    "Events",
    "FrameSpec",
    "FrameStore",
    "RecordingError",
    "event_set",
    "load_simulated",
    "make_plan",
    "open_store",
    "prepare",
    "read_events",
    "split_store",
    "to_frames",
]
