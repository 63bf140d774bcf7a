"""Splits by rule, per class, in the data set's own order: the last share is set aside, or every n-th sample.

No random draw, so the split is the same for every seed, machine and library version. Neighbours in a file often come
from one writer, one recording or one film; cutting each class once keeps them on one side, where a random split would
put them on both and score too well. `split_every` does that too, on purpose: for sets that are split at random
everywhere else.


`spread` is for looking at a part of a whole: so many samples, from everywhere in it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def spread(total: int, count: int) -> Tensor:
    """`count` of the indices 0..total-1, ascending: one of each of `count` equally long stretches, always the same.

    In a set that is in class order every class has its share of them. Which one of a stretch is drawn, so that in a set
    whose classes come in turn they do not all fall on one class.
    """
    bounds = torch.arange(count + 1, dtype=torch.int64) * total // count
    drawn = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return bounds[:-1] + (drawn * (bounds[1:] - bounds[:-1])).long()


def split_last(labels: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Indices kept and indices set aside, both ascending.

    Args:
        labels: class indices [N].
        share: of every class, rounded to whole samples, at least one; 0 sets nothing aside.

    Returns:
        (kept, aside), int64; disjoint, together all of 0..N-1, every class in both.

    Raises:
        ValueError: a class has too few samples to be in both parts.
    """
    aside = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique() if share else []:
        members = (labels == label).nonzero()[:, 0]
        count = max(1, round(len(members) * share))
        if count >= len(members):
            raise ValueError(
                f"Class {int(label)} has {len(members)} samples, too few to set {share:g} of them aside and keep some. "
                "Ask for a smaller share (validation=0 for none)."
            )
        aside[members[len(members) - count :]] = True
    return (~aside).nonzero()[:, 0], aside.nonzero()[:, 0]


def split_every(labels: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Indices kept and indices set aside, both ascending: the n-th, 2n-th, ... sample of every class is set aside.

    Raises:
        ValueError: a class has fewer than n samples, or n is below 2.
    """
    if n < 2:
        raise ValueError(f"Every n-th sample can be set aside for n of 2 or more, not {n}.")
    aside = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        if len(members) < n:
            raise ValueError(f"Class {int(label)} has {len(members)} samples, too few to set every {n}th aside.")
        aside[members[n - 1 :: n]] = True
    return (~aside).nonzero()[:, 0], aside.nonzero()[:, 0]
