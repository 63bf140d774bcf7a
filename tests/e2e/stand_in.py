"""Random samples in the shape of a data set, for runs of two steps."""

from __future__ import annotations

from dataclasses import replace

import torch

from saccade.data import DataInfo, DataRequest, DataSplits, ImageTensors
from saccade.train.config import Experiment

#: data set -> channels, size, classes; None: as large as the recipe asks for
IMAGES = {
    "mnist": (1, 28, 10),
    "fashion-mnist": (1, 28, 10),
    "cifar10": (3, 32, 10),
    "cifar10-jpeg": (3, 32, 10),
    "cifar100": (3, 32, 100),
    "folder": (3, None, 1000),
}
EVENTS = {"digits": (2, 16, 10)}
EVENT_CAMERA = (2, 34, 10)
BATCH = 2


def stand_in(request: DataRequest) -> DataSplits:
    """Two batches to train on and two to score, of what the data set's samples look like."""
    temporal = request.name not in IMAGES
    channels, side, classes = IMAGES.get(request.name) or EVENTS.get(request.name, EVENT_CAMERA)
    side = request.size or side
    shape = (request.steps, channels, side, side) if temporal else (channels, side, side)
    names = tuple(map(str, range(classes)))
    info = DataInfo(request.name, classes, channels, (side, side), temporal, names)
    samples = torch.randint(256, (2 * BATCH, *shape), dtype=torch.uint8)
    labels = torch.arange(2 * BATCH) % classes
    part = ImageTensors(samples, labels, (127.0,), (64.0,))
    return DataSplits(info, part, part, part if request.validation else None)


def small(experiment: Experiment) -> Experiment:
    """An experiment as its stand-in allows: the same network, much narrower, for two steps on the CPU."""
    return replace(
        experiment,
        width=experiment.width * 0.06,
        image_size=experiment.image_size and 32,
        batch_size=BATCH,
        workers=0,
        epochs=1,
        warmup_epochs=0,
        max_batches=2,
        device="cpu",
    )
