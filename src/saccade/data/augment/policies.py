"""The augmentation policies by name. An experiment chooses one: `--augment dta`.

"standard" is the data set's own policy, "none" leaves the samples as they are; the rest is registered here, or by a
user's file:

    register_policy("wobble", "turned by up to 5 degrees", PerSample(always=(Rotate(5.0),)))

Lengths are shares of the picture's side, so that a policy means the same at every size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from saccade.data.augment.jitter import Jitter
from saccade.data.augment.operations import Cutout, Keep, PerSample, Roll, Rotate, Shear, Translate
from saccade.errors import unknown_name

Augment = Callable[[Tensor], Tensor]
"""A batch [B, ..., H, W] -> the same shape and type; draws from torch's global CPU generator."""
STANDARD = "standard"
"""The data set's own policy."""
NONE = "none"
"""No augmentation."""


@dataclass(frozen=True)
class Policy:
    """What a policy does, in words and as a function."""

    summary: str
    augment: Augment


POLICIES: dict[str, Policy] = {}
"""The registered policies by name."""


def register_policy(name: str, summary: str, augment: Augment) -> None:
    """Make a policy available by name; ValueError for a name that is taken."""
    if name in POLICIES or name in (STANDARD, NONE):
        raise ValueError(f"There is an augmentation policy {name!r} already. Choose another name.")
    POLICIES[name] = Policy(summary, augment)


def list_policies() -> list[str]:
    """The names that an experiment's `augment` takes."""
    return [STANDARD, NONE, *sorted(POLICIES)]


def check_policy(name: str) -> str:
    """`name` if it is a policy's, else a ValueError with the nearest names."""
    if not isinstance(name, str) or name not in list_policies():
        raise unknown_name("augmentation policy", name, list_policies())
    return name


def find_policy(name: str, standard: str) -> Augment | None:
    """The function behind a name; None for "none".

    Args:
        name: one of `list_policies()`.
        standard: the policy that "standard" stands for here.
    """
    name = standard if check_policy(name) == STANDARD else name
    return None if name == NONE else POLICIES[name].augment


for _shift in (1, 2, 4):
    register_policy(f"shift{_shift}", f"shifted by up to {_shift} pixels", Jitter(_shift, mirror=False))
for _shift in (2, 4):
    register_policy(
        f"shift{_shift}-mirror", f"shifted by up to {_shift} pixels, half mirrored", Jitter(_shift, mirror=True)
    )
register_policy("mirror", "half mirrored", Jitter(0, mirror=True))

_FIVE_OF_48, _FIVE_OF_128 = 5 / 48, 5 / 128
_SHEAR_DEGREES = 17.2  # 0.3 rad

# Kim, Kim, Yang, WACV 2025, arXiv 2503.10052, as released for CIFAR10-DVS: six operations, each as likely, on clips of
# 48 x 48 pixels. Differs from the released code: shifts are whole numbers of pixels.
register_policy(
    "dta",
    "DTA's for CIFAR10-DVS: half mirrored, then nothing, shear, shift across, shift down, rotation or a square cut out",
    PerSample(
        0.5,
        one_of=(
            Keep(),
            Shear(_SHEAR_DEGREES),
            Translate(_FIVE_OF_48, "across"),
            Translate(_FIVE_OF_48, "down"),
            Rotate(30.0),
            Cutout(0.001, 0.11, (1.0, 1.0)),
        ),
    ),
)
# Zhu et al., TNNLS 2024, arXiv 2206.10177, as released for CIFAR10-DVS: 5 of 128 pixels, before any pooling.
register_policy(
    "tcja",
    "TCJA's for CIFAR10-DVS: half mirrored, rolled round the edges by up to 5 of 128 pixels",
    PerSample(0.5, always=(Roll(_FIVE_OF_128),)),
)
# Ours, from the time before "dta" was what was released.
register_policy(
    "pictures",
    "half mirrored, then nothing, shear, shift, rotation or a rectangle cut out",
    PerSample(
        0.5,
        one_of=(Keep(), Shear(_SHEAR_DEGREES), Translate(_FIVE_OF_48), Rotate(30.0), Cutout(0.001, 0.11)),
    ),
)
# Ours: a mirrored digit is no digit.
register_policy("digits", "shifted by up to 2 of 34 pixels", PerSample(always=(Translate(2 / 34),)))
# Ours: mirrored, a wave of the left hand would be one of the right.
register_policy(
    "gestures",
    "nothing, shear, shift, rotation or a rectangle cut out; never mirrored",
    PerSample(one_of=(Keep(), Shear(_SHEAR_DEGREES), Translate(_FIVE_OF_48), Rotate(15.0), Cutout(0.001, 0.11))),
)
