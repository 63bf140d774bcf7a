"""The event data sets for `load_data`: found, prepared if need be, split, augmented."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from saccade.data.augment import STANDARD, Augment, find_policy
from saccade.data.catalog import DataInfo, DataRequest, DataSplits, register_data
from saccade.data.events.cache import make_plan, prepare
from saccade.data.events.dataset import EventClips
from saccade.data.events.frames import FrameSpec
from saccade.data.events.sets import EVENT_SETS, event_set
from saccade.data.events.splits import TEST, TRAIN
from saccade.data.events.store import FrameStore
from saccade.data.split import split_last

# A set that is smaller than this is held in memory.
RESIDENT_BYTES = 2**30


def load_events(request: DataRequest) -> DataSplits:
    """Frames [T, 2, H, W] of equally many events each, channel 0 OFF, channel 1 ON, as counts.

    `size` bins the coordinates to size x size pixels. The first call makes the frame cache, as `saccade data prepare`
    does. The validation part is the last share of each class of the training part in file order; of DVS128 Gesture, the
    last people.

    Raises:
        FileNotFoundError: there are no recordings; the message says which files go where.
        ValueError: a recording that cannot be read, or a request that makes no sense.
    """
    chosen = event_set(request.name)
    side = request.size
    spec = FrameSpec(request.steps, size=None if chosen.size == (side, side) else side)
    plan = make_plan(chosen, request.root_or_default, spec)
    store = prepare(plan, first_time)
    return split_store(store, request.augment, request.validation)


def split_store(
    store: FrameStore, augment: str = STANDARD, validation: float = 0.0, standard: str | None = None, about: str = ""
) -> DataSplits:
    """The parts of a frame cache; only the training part is augmented, by a policy (see `list_policies`).

    `standard` is the set's own policy, if it is not one of recordings; `about` begins the note.
    """
    name = store.index["set"]
    standard = standard or event_set(name).policy
    labels, parts = torch.tensor(store.column("label")), store.column("part")
    rows = {part: [i for i, its in enumerate(parts) if its == part] for part in (TRAIN, TEST)}
    for part, found in rows.items():
        if not found:
            raise ValueError(f"{name} has no recordings in its {part} part. `saccade data check` says what is missing.")
    kept, aside = _set_aside(rows[TRAIN], labels, store.column("group"), validation)
    keep_in_memory = store.nbytes <= RESIDENT_BYTES

    def clips(chosen_rows: list[int], policy: Augment | None = None) -> EventClips:
        part = EventClips(store, chosen_rows, labels[chosen_rows], policy)
        return part.to("cpu") if keep_in_memory else part

    info = DataInfo(
        name=name,
        num_classes=len(store.index["class_names"]),
        in_channels=2,
        size=store.shape[2:],
        temporal=True,
        class_names=tuple(store.index["class_names"]),
        note=about + note(store),
    )
    train = clips(kept, find_policy(augment, standard))
    return DataSplits(info, train, clips(rows[TEST]), clips(aside) if aside else None)


def note(store: FrameStore) -> str:
    """How many recordings, which split, how much of the events: quoted beside every score."""
    parts = store.column("part")
    hashes = store.index["split_sha256"]
    return (
        f"{parts.count(TRAIN):,} training and {parts.count(TEST):,} test recordings, "
        f"split {hashes[TRAIN][:8]}/{hashes[TEST][:8]}, {store.share_used:.2%} of the events used"
    )


def _set_aside(
    rows: list[int], labels: torch.Tensor, groups: Sequence[str], share: float
) -> tuple[list[int], list[int]]:
    """Rows to train on and rows to validate on; a group (a person) is on one side."""
    people = sorted({groups[row] for row in rows})
    if len(people) == 1:
        kept, aside = split_last(labels[rows], share)
        return [rows[i] for i in kept], [rows[i] for i in aside]
    count = max(1, round(share * len(people))) if share else 0
    if count >= len(people):
        raise ValueError(f"{len(people)} people are too few to set {share:g} of them aside and keep some.")
    held = set(people[len(people) - count :])
    return [row for row in rows if groups[row] not in held], [row for row in rows if groups[row] in held]


def first_time(done: int, total: int) -> None:
    """A line that says what takes so long, where somebody is looking."""
    if sys.stderr.isatty():
        print(f"\rMaking frames: {done:,} of {total:,} recordings", end="\n" if done == total else "", file=sys.stderr)


for _set in EVENT_SETS.values():
    register_data(_set.name, f"event camera: {_set.summary}", _set.folder, temporal=True, where=_set.where)(load_events)
