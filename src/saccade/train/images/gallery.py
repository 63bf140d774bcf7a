"""What a trained VAE has to show: samples, reconstructions, interpolations, as images in [0, 255]."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.models.fsvae import FSVAE
from saccade.train.device import Machine
from saccade.train.images.inception import to_bytes
from saccade.train.learning.generation import autocast, generate

Pictures = NDArray[np.uint8]


@torch.inference_mode()
def samples(model: FSVAE, count: int, machine: Machine, batch_size: int = 250) -> Pictures:
    """Images drawn from the prior: [count, H, W] grey or [count, H, W, 3]."""
    return as_pictures(torch.cat([batch.cpu() for batch in generate(model, count, batch_size, machine)]))


@torch.inference_mode()
def reconstructions(model: FSVAE, images: Tensor, columns: int, machine: Machine) -> Pictures:
    """Rows of `columns` images [B, C, H, W] in [-1, 1], each row followed by its reconstructions."""
    with autocast(machine):
        output = model(images.to(machine.device)).reconstruction.float().cpu()
    rows = zip(images.split(columns), output.split(columns), strict=True)
    return as_pictures(torch.cat([torch.cat(pair) for pair in rows]))


@torch.inference_mode()
def interpolations(model: FSVAE, images: Tensor, columns: int, machine: Machine) -> Pictures:
    """A row for each pair of neighbours (0 and 1, 2 and 3, ...): `columns` pictures from one image to the other."""
    first, last = (images[i::2].to(machine.device) for i in (0, 1))
    with autocast(machine):
        way = model.interpolate(first, last, columns).float().cpu()
    return as_pictures(way.transpose(0, 1).flatten(0, 1))


def as_pictures(images: Tensor) -> Pictures:
    """Images [N, C, H, W] in [-1, 1] -> [N, H, W] for one channel, [N, H, W, 3] for three."""
    shown = to_bytes(images)
    return (shown[:, 0] if shown.shape[1] == 1 else shown.permute(0, 2, 3, 1)).numpy()
