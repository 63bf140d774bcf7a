"""Inputs as pictures for the eye: uint8 RGB."""

from __future__ import annotations

import numpy as np

#: of an ON event (brighter) and an OFF event (darker), taken away from white
ON, OFF = np.array([0.10, 0.75, 0.80]), np.array([0.85, 0.45, 0.05])


def as_pictures(x: np.ndarray) -> np.ndarray:
    """Images or frames [..., C, H, W] -> [..., H, W, 3] as uint8.

    Three channels are colours, two are polarities (OFF blue, ON red, on white), any other number is shown as the grey
    of its mean. Colours and greys are stretched from each picture's least to its greatest value; events from none to
    the 98th percentile of all active pixels.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim < 3:
        raise ValueError(f"Pictures are made from [..., C, H, W], but got {list(x.shape)}.")
    if x.shape[-3] == 2:
        return _events(np.abs(x))
    colours = np.moveaxis(x, -3, -1) if x.shape[-3] == 3 else np.repeat(x.mean(-3)[..., None], 3, -1)
    low = colours.min(axis=(-3, -2, -1), keepdims=True)
    span = colours.max(axis=(-3, -2, -1), keepdims=True) - low
    return _uint8((colours - low) / np.where(span > 0, span, 1))


def _events(counts: np.ndarray) -> np.ndarray:
    active = counts[counts > 0]
    scale = np.percentile(active, 98) if active.size else 1.0
    off, on = (np.clip(counts[..., i, :, :] / scale, 0, 1)[..., None] for i in (0, 1))
    return _uint8(1 - on * ON - off * OFF)


def _uint8(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
