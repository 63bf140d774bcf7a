"""From words on the command line to a filled-in record, with tyro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import tyro

from saccade.cli.help import HelpWanted, Page
from saccade.errors import unknown_name
from saccade.train.config import Value, parse_value

R = TypeVar("R")


def _options(words: list[str]) -> dict[str, Value]:
    if len(words) % 2:
        raise ValueError(f"options come in pairs of name and value, but there are {len(words)} words")
    return {name: parse_value(word) for name, word in zip(words[::2], words[1::2], strict=True)}


#: a dict field given as NAME VALUE NAME VALUE ...; tyro alone would spread a dict that is not empty into options
Options = Annotated[
    dict[str, Value],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="[NAME VALUE ...]",
        instance_from_str=_options,
        is_instance=lambda instance: isinstance(instance, dict),
        str_from_instance=lambda options: [str(word) for pair in options.items() for word in pair],
    ),
]


def parse(record: type[R], words: Sequence[str], prog: str, default: R | None = None, text: str | None = None) -> R:
    """Fill a dataclass from options named like its fields; `--help` prints them, by the record's `groups`, and exits.

    Raises:
        ValueError: an option that does not exist, with the nearest names.
        SystemExit: help, or a value of the wrong type (tyro has then said so).
    """
    check_options(record, words)
    if "-h" in words or "--help" in words:
        page = Page(prog, record, default, text or "")
        print(page.help(), end="")
        raise HelpWanted(page)
    given: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(record, args=list(words), prog=prog, description=text, **given)


def check_options(record: type, words: Sequence[str]) -> None:
    """ValueError for the first word like --name that is not an option."""
    known = [f"--{field.name.replace('_', '-')}" for field in fields(record)]
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name != "--help" and name not in known:
            if name.startswith("--no-") and f"--{name[5:]}" in known:
                continue
            raise unknown_name("option", name, known)


def check_count(name: str, number: int | None, least: int = 1) -> None:
    """ValueError for a number below the least; None, an option that was not given, passes."""
    if number is not None and number < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, not {number}.")
