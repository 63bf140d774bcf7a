"""Data sets by name, split, batched: `load_data(DataRequest("digits", steps=6))`, then `make_loader`.

    splits = load_data(DataRequest("digits", steps=6))
    loader = make_loader(splits.train, batch_size=64, train=True, temporal=splits.info.temporal)
    for x_TBCHW, labels_B in loader: ...

Every file here is imported and registers its data sets; none is read, and no optional library imported, before it is
asked for.
"""

from saccade.data import digits, events, folder, images, shards
from saccade.data.augment import Jitter, PerSample, cutout, list_policies, register_policy
from saccade.data.camera import saccade_path, simulate_camera
from saccade.data.catalog import (
    CATALOG,
    DataInfo,
    DataRequest,
    DataSplits,
    check_data,
    default_root,
    list_data,
    load_data,
    register_data,
)
from saccade.data.loaders import BatchLoader, draw_seed, make_loader
from saccade.data.memory import ImageTensors
from saccade.data.mixing import mix_batch
from saccade.data.shards import write_classes, write_shards
from saccade.data.split import split_every, split_last, spread
from saccade.plugins import import_files

__all__ = [
    "CATALOG",
    "BatchLoader",
    "DataInfo",
    "DataRequest",
    "DataSplits",
    "ImageTensors",
    "Jitter",
    "PerSample",
    "check_data",
    "cutout",
    "default_root",
    "digits",
    "draw_seed",
    "events",
    "folder",
    "images",
    "list_data",
    "list_policies",
    "load_data",
    "make_loader",
    "mix_batch",
    "register_data",
    "register_policy",
    "saccade_path",
    "shards",
    "simulate_camera",
    "split_every",
    "split_last",
    "spread",
    "write_classes",
    "write_shards",
]

import_files(__name__)
