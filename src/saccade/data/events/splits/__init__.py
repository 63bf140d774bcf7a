"""The splits of the event data sets, as files beside this one, and the hash by which two splits are compared."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterable
from importlib import resources
from typing import Any

TRAIN, TEST = "train", "test"


@functools.cache
def read_split(name: str) -> dict[str, Any]:
    """The split file of an event data set; see the files for what each holds."""
    return json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))


def names_hash(names: Iterable[str]) -> str:
    """SHA-256 of the names, sorted, one per line: equal if and only if the same recordings are meant."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def split_names(name: str) -> set[str] | None:
    """All names of a set, where the split file can tell them."""
    split = read_split(name)
    if "name" not in split:
        return None
    return {split["name"].format(c=c, n=n) for c in split["classes"] for n in range(split["numbers"])}


def first_share(count: int, share: float) -> list[str]:
    """The part of each of `count` files in order: the first share trains, rounded up as SpikingJelly does."""
    train = math.ceil(count * share)
    return [TRAIN] * train + [TEST] * (count - train)
