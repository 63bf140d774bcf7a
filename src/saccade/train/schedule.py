"""The learning rate over a run, per step of the optimiser."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int = 0) -> float:
    """Factor on the peak learning rate for step 0, 1, ... of `total_steps`: linear warm-up, then a cosine to zero.

    (step + 1) / w                                   for step < w
    (1 + cos(pi * (step - w) / (total - w))) / 2     from there on,    w = warmup_steps
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return (1 + math.cos(math.pi * min(1.0, progress))) / 2
