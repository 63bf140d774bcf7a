"""Augmentation of images and of clips alike: policies by name, and what they are made of.

    augment = find_policy("dta", standard="pictures")
    x = augment(x)                     # [B, ..., H, W]: images [B, C, H, W] or clips [B, T, C, H, W]

A policy takes a batch, samples first, and changes every sample by its own draw: one for all channels and time steps of
it. Everything is drawn from torch's global CPU generator, whatever the batch's device; `make_loader` seeds it for each
batch from (seed, epoch, batch), so a batch is the same in every process and on every device.
"""

from saccade.data.augment.jitter import Jitter, cutout
from saccade.data.augment.operations import Cutout, Keep, PerSample, Roll, Rotate, Shear, Translate
from saccade.data.augment.policies import (
    NONE,
    POLICIES,
    STANDARD,
    Augment,
    check_policy,
    find_policy,
    list_policies,
    register_policy,
)

__all__ = [
    "NONE",
    "POLICIES",
    "STANDARD",
    "Augment",
    "Cutout",
    "Jitter",
    "Keep",
    "PerSample",
    "Roll",
    "Rotate",
    "Shear",
    "Translate",
    "check_policy",
    "cutout",
    "find_policy",
    "list_policies",
    "register_policy",
]
