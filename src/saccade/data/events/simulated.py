"""Event data sets made of images: MNIST, Fashion-MNIST and CIFAR-10 before a simulated event camera.

Real images, simulated recordings: a score on them is not one on a real camera's recordings, and every note says so.
They are cut into frames and cached like recordings. Another camera is a data set of your own:

    register_data("mnist-dim", "MNIST before a dim camera", None, temporal=True)(
        lambda request: load_simulated(request, SIMULATED["mnist-saccade"], EventCamera(dark=0.3))
    )
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.data.catalog import DataRequest, DataSplits, register_data
from saccade.data.event_camera import EventCamera, simulate_events
from saccade.data.events.cache import Plan, prepare
from saccade.data.events.frames import FrameSpec
from saccade.data.events.load import first_time, split_store
from saccade.data.events.recording import Events
from saccade.data.events.sets import TEST, TRAIN, Recording
from saccade.data.images import IMAGE_SETS, ImagePart, part_of_whole, read_images, where_images

# Images that are simulated at once: their pixels stay in the processor's cache.
BLOCK = 128
# Raise it when the same images and camera give other events than before.
OUTPUT_VERSION = 1
GREY = (0.299, 0.587, 0.114)  # of red, green and blue


@dataclass(frozen=True)
class SimulatedSet:
    """An image set before the camera."""

    name: str
    summary: str
    #: of the images; one of `IMAGE_SETS`
    images: str
    #: black pixels around every image; past them the border goes on
    margin: int
    #: its own augmentation policy
    policy: str


SIMULATED = {
    s.name: s
    for s in (
        SimulatedSet("mnist-saccade", "MNIST, 34x34, 60,000 + 10,000, 10 classes", "mnist", 3, "digits"),
        SimulatedSet(
            "fashion-saccade", "Fashion-MNIST, 34x34, 60,000 + 10,000, 10 classes", "fashion-mnist", 3, "shift2"
        ),
        SimulatedSet("cifar10-saccade", "CIFAR-10 in grey, 32x32, 50,000 + 10,000, 10 classes", "cifar10", 0, "dta"),
    )
}
"""The sets of images that are shown to a simulated event camera, by name."""


def load_simulated(request: DataRequest, chosen: SimulatedSet, camera: EventCamera | None = None) -> DataSplits:
    """Frames [T, 2, H, W] of equally many simulated events each, channel 0 OFF, channel 1 ON.

    The first call simulates and makes the frame cache, which takes minutes for a whole set.

    Raises:
        FileNotFoundError: the images are missing; the message says which files go where.
        ValueError: files that cannot be read, or a request that makes no sense.
    """
    camera = camera or EventCamera()
    plan, missing = make_simulated_plan(
        chosen, request.root_or_default, FrameSpec(request.steps, size=request.size), camera
    )
    about = f"simulated event camera before real images ({chosen.images}); "
    splits = split_store(prepare(plan, first_time), request.augment, request.validation, chosen.policy, about + missing)
    return splits


def make_simulated_plan(chosen: SimulatedSet, root: Path, spec: FrameSpec, camera: EventCamera) -> tuple[Plan, str]:
    """The cache to be, and what is missing from the published images, in words."""
    parts = {TRAIN: read_images(chosen.images, root, train=True), TEST: read_images(chosen.images, root, train=False)}
    missing = part_of_whole(IMAGE_SETS[chosen.images], parts[TRAIN], parts[TEST])
    recordings = [r for part, held in parts.items() for r in _recordings(part, held)]
    scenes = _Scenes(torch.cat([_grey(part.images) for part in parts.values()]), chosen.margin, camera)
    said = json.dumps([OUTPUT_VERSION, asdict(camera), chosen.margin]).encode()
    digest = hashlib.sha256(said + scenes.images.numpy().tobytes()).hexdigest()
    sensor = tuple(side + 2 * chosen.margin for side in scenes.images.shape[1:])
    plan = Plan(
        name=chosen.name,
        root=root,
        spec=spec,
        sensor=(sensor[0], sensor[1]),
        class_names=parts[TRAIN].classes,
        recordings=recordings,
        hashes={recording.path: digest for recording in recordings},
        events_of=scenes.events_of,
    )
    return plan, missing


def _recordings(part: str, held: ImagePart) -> list[Recording]:
    """One for every image; those of a block share a path, which is no file but a name for what is simulated at once."""
    return [
        Recording(f"{part}/{label}/{i + 1:05d}", Path(f"{part}-block-{i // BLOCK}"), label, part)
        for i, label in enumerate(held.labels.tolist())
    ]


def _grey(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] -> uint8 [N, H, W]."""
    if images.shape[1] == 1:
        return images[:, 0].contiguous()
    weights = torch.tensor(GREY).view(-1, 1, 1)
    return torch.cat([(few.float() * weights).sum(1).round_().to(torch.uint8) for few in images.split(4096)])


class _Scenes:
    """Images that are recorded when they are asked for."""

    def __init__(self, images: Tensor, margin: int, camera: EventCamera) -> None:
        self.images = images
        self.margin = margin
        self.camera = camera

    def events_of(self, plan: Plan, recordings: list[Recording]) -> Iterator[Events]:
        """The events of recordings that follow one another in the plan."""
        first = plan.places[recordings[0].name]
        images = self.images[first : first + len(recordings)].float() / 255
        n, t, x, y, p = simulate_events(F.pad(images, (self.margin,) * 4), self.camera, first)
        cuts = np.searchsorted(n, np.arange(len(recordings) + 1))
        for begin, end in itertools.pairwise(cuts):
            yield Events(t[begin:end], x[begin:end], y[begin:end], p[begin:end], plan.sensor)


def _register(chosen: SimulatedSet) -> None:
    image_set = IMAGE_SETS[chosen.images]

    @register_data(
        chosen.name,
        f"simulated event camera: {chosen.summary}",
        image_set.folders,
        temporal=True,
        where=lambda root: f"Simulated from the images of {chosen.images}. {where_images(image_set, root)}",
    )
    def load(request: DataRequest) -> DataSplits:
        return load_simulated(request, chosen)


for _chosen in SIMULATED.values():
    _register(_chosen)
