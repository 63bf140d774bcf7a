"""From an experiment to its data, loaders and network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saccade.data import BatchLoader, DataInfo, DataRequest, check_data, load_data, make_loader
from saccade.data.augment import check_policy
from saccade.errors import unknown_name
from saccade.models import create_model
from saccade.models.network import SpikingNetwork
from saccade.models.registry import OWN, model_entry
from saccade.nn.attention import attention_class
from saccade.train.config import Experiment
from saccade.train.device import choose_device
from saccade.train.learning.schedule import check_schedule
from saccade.train.losses import list_losses

GENERATION_LOSSES = ("mmd", "kld")


@dataclass(frozen=True)
class Loaders:
    """The parts of a data set, in batches."""

    info: DataInfo
    train: BatchLoader
    #: what is scored after every epoch: the part set aside, or the test part if no share was asked for
    watched: BatchLoader
    #: "validation" or "test"
    part: str
    #: all of it, in every process
    test: BatchLoader


def check_names(experiment: Experiment) -> None:
    """ValueError for an unknown name of anything, or a loss that is not the model's; loads nothing."""
    e = experiment
    if e.attention != OWN:
        attention_class(e.attention)
    fitting = GENERATION_LOSSES if generates(e.model) else list_losses()
    if e.loss not in (*GENERATION_LOSSES, *list_losses()):
        raise unknown_name("loss", e.loss, fitting)
    if e.loss not in fitting:
        does, recipe = ("generates images", "mnist-fsvae") if generates(e.model) else ("classifies", "digits-dta")
        raise ValueError(
            f"{e.model} {does}, so its loss is one of {', '.join(fitting)}, not {e.loss!r}. Start from a recipe of its "
            f"kind, e.g. {recipe}."
        )
    if generates(e.model) and e.mix != "none":
        raise ValueError(f"{e.model} generates images, and mixed ones are not what it is to learn: use mix='none'.")
    if generates(e.model) and (e.cutout or e.compile or e.grad_checkpointing):
        raise ValueError(
            f"{e.model} generates images; cutout, compile and grad_checkpointing are for networks that classify. "
            "Leave them out."
        )
    check_policy(e.augment)
    check_schedule(e.schedule)
    check_data(e.data)


def generates(model: str) -> bool:
    """Whether a model generates images; all others classify them. ValueError for an unknown name."""
    return model_entry(model).cls.kind == "generator"


def build_loaders(experiment: Experiment, device: torch.device | None = None) -> Loaders:
    """Load the experiment's data set and batch its parts, for a device; errors as for `load_data` and `make_loader`.

    For a model that generates, images lie in [-1, 1].
    """
    e = experiment
    pictures = generates(e.model)
    splits = load_data(
        DataRequest(
            e.data,
            root=None if e.data_root is None else Path(e.data_root),
            steps=e.steps,
            size=e.image_size,
            augment=e.augment,
            validation=e.validation,
            symmetric=pictures,
        )
    )

    def batches(dataset: torch.utils.data.Dataset, train: bool, alone: bool = False) -> BatchLoader:
        return make_loader(
            dataset,
            batch_size=e.batch_size,
            train=train,
            temporal=splits.info.temporal,
            workers=e.workers,
            seed=e.seed,
            device=device or choose_device(e.device),
            max_batches=e.max_batches,
            accumulate=e.accumulate,
            alone=alone,
        )

    watched = splits.test if splits.validation is None else splits.validation
    return Loaders(
        splits.info,
        train=batches(splits.train, train=True),
        watched=batches(watched, train=False),
        part="test" if splits.validation is None else "validation",
        test=batches(splits.test, train=False, alone=True),
    )


def build_model(experiment: Experiment, info: DataInfo) -> SpikingNetwork:
    """The experiment's network for a data set, with initial weights drawn from the experiment's seed.

    Raises:
        ValueError: unknown model, attention or option, or values that make no sense.
    """
    e = experiment
    size: dict[str, Any] = {"num_classes": info.num_classes, "input_size": input_size(e.model, info)}
    options: dict[str, Any] = {
        **({"image_size": _square(e.model, info)} if generates(e.model) else size),
        "steps": e.steps,
        "in_channels": info.in_channels,
        "width": e.width,
        "attention": e.attention,
        "attention_options": dict(e.attention_options),
        "placement": None if e.placement == "published" else e.placement,
        "backend": e.backend,
    }
    for name in e.model_options:
        if name in options:
            raise ValueError(f"model_options cannot set {name}: it has a field of its own, or comes from the data set.")
    torch.manual_seed(e.seed)
    options.update(e.model_options)
    model = create_model(e.model, **options)
    if e.grad_checkpointing:
        model.set_grad_checkpointing()
    return model


def input_size(model: str, info: DataInfo) -> tuple[int, int]:
    """The frames that a network's layers are built for: the data's, or what the network itself pools them to.

    Smaller frames than a network pools to are taken as they are.
    """
    own = model_entry(model).defaults.get("input_size")
    if own is None or not model_entry(model).cls.pools_input or any(a < b for a, b in zip(info.size, own, strict=True)):
        return info.size
    return own


def _square(model: str, info: DataInfo) -> int:
    height, width = info.size
    if height != width:
        raise ValueError(f"{model} takes square images, but {info.name} has {height} x {width}. Set image_size.")
    return height
