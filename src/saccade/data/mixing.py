"""Mixing pairs of samples of a batch. Targets stay soft: what was mixed into the input is mixed into the target.

mixup: Zhang et al., ICLR 2018, arXiv 1710.09412. CutMix: Yun et al., ICCV 2019, arXiv 1905.04899.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def mix_batch(
    x: Tensor,
    labels: Tensor,
    num_classes: int,
    kind: Literal["none", "mixup", "cutmix"] = "mixup",
    alpha: float = 1.0,
    probability: float = 1.0,
    batch_dim: int = 0,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Mix every sample with another one of the batch.

        share ~ Beta(alpha, alpha),  one draw per batch;   partner: a random permutation of the batch
        mixup:   x <- share * x + (1 - share) * x[partner]
        cutmix:  a box of (1 - share) of the area, around a uniform point and clipped at the border, is taken from
                 x[partner]; share becomes the part of the area that was kept
        target = share * onehot(label) + (1 - share) * onehot(label[partner])

    Args:
        x: [B, ..., H, W] or, with batch_dim=1, [T, B, ..., H, W]: partner and box are the same for all steps.
        labels: class indices [B].
        num_classes: K.
        kind: "none" only turns the labels into one-hot targets.
        alpha: parameter of the Beta distribution, above 0.
        probability: that this batch is mixed at all; drawn once per batch.
        batch_dim: where B is in x.
        generator: CPU generator of the draws; None is torch's global one.

    Returns:
        The mixed x (a new tensor, or x itself if nothing was mixed) and targets [B, K], rows summing to 1; float32, or
        x's dtype if that is float64.

    Raises:
        ValueError: unknown kind, alpha or probability out of range, or labels that do not fit x.

    Differs from the released code: DTA-SNN's draws the coin once per epoch for CutMix, and turns mixed targets of event
    data back into hard ones.
    """
    if kind not in ("none", "mixup", "cutmix"):
        raise ValueError(f"kind of mixing must be 'none', 'mixup' or 'cutmix', not {kind!r}.")
    if not alpha > 0 or not 0 <= probability <= 1:
        raise ValueError(f"Mixing needs alpha > 0 and a probability from 0 to 1, not {alpha} and {probability}.")
    if labels.shape != (x.shape[batch_dim],):
        raise ValueError(
            f"Mixing needs one label per sample, but x is {list(x.shape)} with the batch in dimension {batch_dim} and "
            f"labels is {list(labels.shape)}. For [T, B, C, H, W] pass batch_dim=1."
        )
    targets = F.one_hot(labels, num_classes).to(torch.promote_types(x.dtype, torch.float32))
    # numpy draws Beta variates from a seed; torch can from its global state only. The seed is drawn by torch.
    rng = np.random.default_rng(int(torch.randint(2**63 - 1, (1,), generator=generator)))
    if kind == "none" or rng.random() >= probability:
        return x, targets
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(labels))).to(x.device, non_blocking=True)
    other = x.index_select(batch_dim, partner)
    if kind == "mixup":
        mixed = torch.lerp(other, x, share)
    else:
        top, bottom, left, right = _box(rng, share, x.shape[-2], x.shape[-1])
        mixed = x.clone()
        mixed[..., top:bottom, left:right] = other[..., top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (x.shape[-2] * x.shape[-1])
    return mixed, torch.lerp(targets[partner], targets, share)


def _box(rng: np.random.Generator, share: float, height: int, width: int) -> tuple[int, int, int, int]:
    """Rows top..bottom and columns left..right of a box with (1 - share) of the area, before it is clipped."""
    side = math.sqrt(1 - share)
    row, column = rng.uniform(0, height), rng.uniform(0, width)
    top, bottom = (round(min(max(row + sign * side * height / 2, 0), height)) for sign in (-1, 1))
    left, right = (round(min(max(column + sign * side * width / 2, 0), width)) for sign in (-1, 1))
    return top, bottom, left, right
