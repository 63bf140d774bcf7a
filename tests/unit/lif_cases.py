"""The neurons that every LIF kernel is tried on: resets, detached or not, and surrogates of every shape."""

import itertools

from saccade.ops import LIFSpec, Surrogate

SURROGATES = (
    Surrogate("triangle", 1.0),
    Surrogate("triangle", 0.6, center=-0.3),
    Surrogate("atan", 2.0),
    Surrogate("sigmoid", 4.0, center=0.1),
    Surrogate("rectangle", 0.8),
)
SPECS = [
    LIFSpec(0.7, reset, detach, surrogate)
    for reset, detach, surrogate in itertools.product(("hard", "soft"), (True, False), SURROGATES)
]
