"""From an experiment to its data, loaders and network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from saccade.data import CATALOG, BatchLoader, DataInfo, DataRequest, load_data, make_loader
from saccade.errors import unknown_name
from saccade.models import create_model, model_options
from saccade.models.network import SpikingNetwork
from saccade.nn.attention import attention_class
from saccade.train.config import Experiment


@dataclass(frozen=True)
class Loaders:
    """The parts of a data set, in batches."""

    info: DataInfo
    train: BatchLoader
    test: BatchLoader
    #: the part set aside; None if no share was asked for
    validation: BatchLoader | None

    @property
    def watched(self) -> tuple[str, BatchLoader]:
        """Name and batches of what is scored after every epoch."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)


def check_names(experiment: Experiment) -> None:
    """ValueError for an unknown model, attention or data set, or a model that does not classify; loads nothing."""
    attention_class(experiment.attention)
    if "num_classes" not in model_options(experiment.model):
        raise ValueError(f"{experiment.model} does not classify; `saccade generate` trains it. Choose another model.")
    if experiment.data not in CATALOG:
        raise unknown_name("data set", experiment.data, CATALOG)


def build_loaders(experiment: Experiment) -> Loaders:
    """Load the experiment's data set and batch its parts; errors as for `load_data`."""
    e = experiment
    root = None if e.data_root is None else Path(e.data_root)
    splits = load_data(
        DataRequest(e.data, root, steps=e.steps, size=e.image_size, augment=e.augment, validation=e.validation)
    )

    def batches(dataset: torch.utils.data.Dataset, train: bool) -> BatchLoader:
        return make_loader(
            dataset,
            batch_size=e.batch_size,
            train=train,
            temporal=splits.info.temporal,
            workers=e.workers,
            seed=e.seed,
        )

    validation = None if splits.validation is None else batches(splits.validation, train=False)
    return Loaders(splits.info, batches(splits.train, train=True), batches(splits.test, train=False), validation)


def build_model(experiment: Experiment, info: DataInfo) -> SpikingNetwork:
    """The experiment's network for a data set, with initial weights drawn from the experiment's seed.

    Raises:
        ValueError: unknown model, attention or option, or values that make no sense.
    """
    e = experiment
    options = {
        "num_classes": info.num_classes,
        "steps": e.steps,
        "in_channels": info.in_channels,
        "input_size": info.size,
        "width": e.width,
        "attention": e.attention,
        "attention_options": dict(e.attention_options),
        "placement": e.placement,
        "backend": e.backend,
    }
    for name in e.model_options:
        if name in options:
            raise ValueError(f"model_options cannot set {name}: it has a field of its own, or comes from the data set.")
    torch.manual_seed(e.seed)
    return create_model(e.model, **options, **e.model_options)
