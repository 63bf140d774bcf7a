"""What the fields of an experiment may hold: one table, made from the annotations. Imports nothing heavy."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

#: a value is quoted up to so many characters
MOST_QUOTED = 60


class Kind(NamedTuple):
    """A type of field: whether a value is of it, and how that is said."""

    holds: Callable[[Any], bool]
    text: str


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_plain(value: Any) -> bool:
    """Whether a value is text, a finite number, True, False, None, or a list of such."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _is_options(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) and is_plain(v) for name, v in value.items())


KINDS: dict[Any, Kind] = {
    bool: Kind(lambda value: isinstance(value, bool), "True or False"),
    int: Kind(_is_whole, "a whole number"),
    float: Kind(_is_number, "a finite number"),
    str: Kind(lambda value: isinstance(value, str), "a text"),
    dict: Kind(_is_options, "options by name, each a text, a finite number, True or False"),
}


@functools.cache
def kinds_of(record: type) -> dict[str, Kind]:
    """The kind of every field of a record, by its annotation."""
    return {name: _kind(hint) for name, hint in get_type_hints(record).items()}


def _kind(hint: Any) -> Kind:
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (_kind(part) for part in get_args(hint) if part is not type(None))
        return Kind(lambda value: value is None or inner.holds(value), f"{inner.text}, or None")
    if get_origin(hint) is not None and get_origin(hint) not in KINDS:  # Literal: whoever chooses says what there is
        return KINDS[str]
    return KINDS[get_origin(hint) or hint]


def check_kinds(record: type, values: Mapping[str, Any]) -> None:
    """ValueError for the first value that is not of its field's kind."""
    for name, kind in kinds_of(record).items():
        if name in values and not kind.holds(values[name]):
            raise ValueError(f"{name} must be {kind.text}, not {quoted(values[name])}.")


def quoted(value: Any) -> str:
    """A value as Python writes it, cut where it is long."""
    if _is_whole(value) and value.bit_length() > 64:  # Python refuses to write out very many digits
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}..."
