"""What an experiment is: one flat record. Every field can be set on the command line as --field-name value.

Imports nothing heavy, so that the command line can show help and refuse bad input at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from saccade.errors import unknown_name
from saccade.train.fields import check_kinds

Value = int | float | str | bool


@dataclass(kw_only=True)
class Experiment:
    """A full description of a training run; a recipe is a function that returns one."""

    recipe: str
    """Name of the recipe this comes from."""
    code: str | None = None
    """File of one's own that registers recipes, networks, attention modules, losses or data sets."""
    code_sha256: str | None = None
    """Of its content."""

    # network

    model: str
    """Network, one of saccade.list_models()."""
    attention: str = "own"
    """Attention module, one of saccade.list_attention(); "none" is the same network without a gate; "own": as the
    network is written, which for those of the package is without."""
    attention_options: dict[str, Value] = field(default_factory=dict)
    """Options of the attention, e.g. kernel_time 4."""
    placement: Literal["published", "spikes", "current"] = "published"
    """What the gate multiplies: the spikes, the current before the neuron, or whichever the gate's paper does."""
    width: float = 1.0
    """Factor on all channel counts."""
    steps: int = 4
    """Time steps T."""
    model_options: dict[str, Value] = field(default_factory=dict)
    """Further arguments of the network, e.g. dropout 0.5."""

    # data

    data: str
    """Data set by name; see saccade doctor for what is found."""
    data_root: str | None = None
    """Folder that holds the data sets; default: $SACCADE_DATA, or ./data."""
    image_size: int | None = None
    """Side of the images, if not the data set's own."""
    augment: str = "standard"
    """Augmentation policy of the training part: standard (the data set's own), none, or another by name; see `saccade
    data list`. The test part is never augmented."""
    mix: Literal["none", "mixup", "cutmix"] = "none"
    """Mix pairs of training samples; targets stay soft."""
    mix_alpha: float = 1.0
    """Both parameters of the Beta distribution that the mixing share is drawn from."""
    mix_probability: float = 0.5
    """Probability, drawn per batch, that a batch is mixed."""
    cutout: int = 0
    """Side in pixels of the square that is blanked in every training sample; 0: none."""
    validation: float = 0.0
    """Share of the training part set aside for choosing things; the test set is for the last number only."""
    batch_size: int = 64
    """Samples per step of the optimiser, over all processes."""
    accumulate: int = 1
    """Parts that a batch is cut into, one after the other, before the optimiser steps: less memory, and batch norm sees
    one part at a time."""
    workers: int = 0
    """Loader processes."""

    # learning

    loss: str = "ce"
    """ce: cross-entropy of the mean over steps; tet: per step, plus regulariser; mse: of the mean rate against one-hot;
    smse: the same at every step; or a registered one. For fsvae: reconstruction error plus the divergence of prior and
    posterior, mmd: of their potentials, or kld."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    tet_lambda: float = 1e-3
    """Weight of TET's regulariser."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """Weight decay goes on all parameters, as in the papers; AdamW decouples it."""
    lr: float = 0.1
    """Peak learning rate."""
    momentum: float = 0.9
    """Of SGD; Adam and AdamW have their usual betas."""
    weight_decay: float = 0.0
    """L2 penalty (SGD, Adam) or decoupled decay (AdamW)."""
    epochs: int = 10
    """Passes over the training part."""
    warmup_epochs: float = 0.0
    """Linear warm-up, in epochs; then the schedule."""
    schedule: str = "cosine"
    """Of the learning rate after the warm-up: cosine (to zero), constant, or a registered one."""
    ema_decay: float = 0.0
    """Decay per step of the exponential moving average of the weights that is evaluated and saved; 0: none."""
    gradient_clip: float = 0.0
    """Largest norm of the gradient; 0: no limit."""
    on_divergence: Literal["stop", "skip", "rollback"] = "stop"
    """When numbers are no longer finite: stop; skip the step; or go back to the last whole epoch with half the learning
    rate."""

    # machine

    seed: int = 0
    """Of the initial weights, the order of the samples, augmentation, dropout and mixing."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    devices: int | None = None
    """Processes on each machine, one for each GPU; they share every batch. None: as torchrun, SLURM or another launcher
    says, else one."""
    nodes: int | None = None
    """Machines, each started with the same command, and NODE_RANK, MASTER_ADDR and MASTER_PORT set. None: as the
    launcher says, else one."""
    sync_batchnorm: bool = False
    """Batch norm sees the samples of all processes, not of its own alone."""
    precision: Literal["auto", "float32", "float64", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 autocast on a GPU that has it, else float32. bfloat16 pays on a CPU too if it multiplies that type
    (see saccade doctor); one that does not computes in float32. float64 is for comparing runs."""
    backend: str = "auto"
    """LIF kernel: auto, or one by name; see saccade doctor."""
    compile: bool = False
    """Train through torch.compile: takes minutes to start and pays on a GPU."""
    grad_checkpointing: bool = False
    """Keep only the inputs of the network's blocks for backward and compute the rest again: less memory, more time."""
    max_batches: int | None = None
    """Stop every epoch, and every evaluation, after so many batches (for a quick try)."""


#: fields that a resumed run may change, because they say where and for how long it runs, not what is learned
FREE_ON_RESUME = (
    "backend",
    "code",
    "compile",
    "data_root",
    "device",
    "devices",
    "epochs",
    "grad_checkpointing",
    "nodes",
    "on_divergence",
    "workers",
)


def from_dict(values: dict[str, Any]) -> Experiment:
    """The record that `dataclasses.asdict` turned into `values`; ValueError for other names and kinds of values."""
    known = [f.name for f in fields(Experiment)]
    for name in values:
        if name not in known:
            raise unknown_name("field", name, known, of="an experiment")
    values = {**values, **_policy(values)}
    check_kinds(Experiment, values)
    try:
        return Experiment(**values)
    except TypeError as error:
        raise ValueError(f"This is not a whole experiment: {error}.") from None


def _policy(values: dict[str, Any]) -> dict[str, str]:
    """The augmentation policy; up to version 0.1.0 it was true or false, which for fsvae meant to mirror."""
    augment = values.get("augment", "standard")
    if isinstance(augment, bool):
        augment = ("mirror" if values.get("loss") in ("mmd", "kld") else "standard") if augment else "none"
    if not isinstance(augment, str):
        raise ValueError(f"augment is the name of an augmentation policy, e.g. 'standard' or 'none', not {augment!r}.")
    return {"augment": augment}


def digest(experiment: Experiment) -> str:
    """A hash of all that decides what is learned: every field but those that a resumed run may change.

    Fields at their default are left out, so that one that a later version adds changes no hash.
    """
    plain = asdict(Experiment(recipe="", model="", data="", attention="none"))  # the defaults of 0.1.0
    kept = {k: v for k, v in asdict(experiment).items() if k not in FREE_ON_RESUME and v != plain[k]}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def parse_value(word: str) -> Value:
    """A word as a whole number, a number, True or False, else as it is."""
    if word in ("True", "False"):
        return word == "True"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def differences(old: Experiment, new: Experiment) -> dict[str, tuple[Any, Any]]:
    """The fields in which two experiments differ, as `{name: (old, new)}`."""
    pairs = {f.name: (getattr(old, f.name), getattr(new, f.name)) for f in fields(Experiment)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
