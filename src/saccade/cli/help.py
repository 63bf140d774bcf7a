"""The help of a verb: an argparse parser made from the record that its options fill in.

tyro parses the words themselves; argparse writes the page, in groups and in the columns that there are, and is what
shell completion is made of.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from itertools import pairwise
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import tyro

from saccade.tables import fold, terminal_width

#: columns of a page where there is no terminal, and the most that are used
WIDTH, MOST = 80, 110
METAVARS = {int: "INT", float: "FLOAT", str: "TEXT"}
#: what completes an option of this name, besides the choices of its type: lists of the package, read when asked for
NAMES: dict[str, str] = {
    "attention": "saccade.nn.attention:list_attention",
    "data": "saccade.data:list_data",
    "model": "saccade.models:list_models",
    "recipe": "saccade.recipes:list_recipes",
}

#: heading -> names of fields
Groups = Mapping[str, Sequence[str]]


class Kind(NamedTuple):
    """What an option takes."""

    metavar: str
    choices: tuple[str, ...] = ()
    is_flag: bool = False


@dataclass(frozen=True)
class Page:
    """A verb, and the record that its options fill in."""

    prog: str
    record: type
    default: Any
    text: str

    def help(self) -> str:
        """What --help prints."""
        return self.parser().format_help()

    def parser(self) -> argparse.ArgumentParser:
        """The verb as argparse knows it; `option` of an action is what it was made from."""
        positionals = [option.kind.metavar for option in _options(self.record) if option.is_positional]
        words = " ".join([self.prog, "[OPTIONS]", *positionals])
        parser = argparse.ArgumentParser(self.prog, words, self.text, formatter_class=_Layout, add_help=False)
        for heading, options in self._groups().items():
            group = parser.add_argument_group(heading)
            for option in options:
                option.add_to(group, self.default)
        parser.add_argument_group("help").add_argument("-h", "--help", action="help", help="Show this page.")
        return parser

    def _groups(self) -> dict[str, list[_Option]]:
        """The options by heading; those in no group of the record come last."""
        rest = {option.field.name: option for option in _options(self.record)}
        groups: Groups = getattr(self.record, "groups", {})
        found = {"arguments": [rest.pop(name) for name in list(rest) if rest[name].is_positional]}
        for heading, names in groups.items():
            found[heading] = [rest.pop(name) for name in names if name in rest]
        found["further options" if groups else "options"] = list(rest.values())
        return {heading: group for heading, group in found.items() if group}


class HelpWanted(SystemExit):
    """Somebody asked for the help of a verb."""

    def __init__(self, page: Page) -> None:
        super().__init__(0)
        self.page = page


@dataclass(frozen=True)
class _Option:
    """A field of a record, as an option."""

    field: Field[Any]
    text: str
    kind: Kind
    is_positional: bool

    def completes(self) -> list[str]:
        """The words that it takes, where they are known."""
        module, _, listed = NAMES.get(self.field.name, "").partition(":")
        return list(getattr(importlib.import_module(module), listed)()) if module else list(self.kind.choices)

    def add_to(self, group: Any, default: Any) -> None:
        name, text = self.field.name.replace("_", "-"), self._text(default).replace("%", "%%")
        if self.kind.is_flag:
            given = self._default(default)
            action = group.add_argument(f"--no-{name}" if given else f"--{name}", action="store_true", help=text)
        else:
            called = self.field.name if self.is_positional else f"--{name}"
            several = self.is_positional or self.kind.metavar.startswith("[")
            metavar = self.kind.metavar if self.is_positional else self.kind.metavar.strip("[]").removesuffix(" ...")
            action = group.add_argument(called, metavar=metavar, help=text, nargs="*" if several else None)
        action.option = self

    def _default(self, default: Any) -> Any:
        if default is not None:
            return getattr(default, self.field.name)
        if self.field.default_factory is not MISSING:
            return self.field.default_factory()
        return None if self.field.default is MISSING else self.field.default

    def _text(self, default: Any) -> str:
        """What the record says of it, and its default where that says something."""
        value = self._default(default)
        if isinstance(value, Mapping):
            value = [word for pair in value.items() for word in pair]
        if value is None or isinstance(value, bool) or value in ("", (), []):
            return self.text
        words = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        return f"{self.text} (default: {words})"


class _Layout(argparse.HelpFormatter):
    """Lines that end between words."""

    def __init__(self, prog: str) -> None:
        columns = terminal_width(WIDTH)
        super().__init__(prog, max_help_position=26, width=min(MOST, columns))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return fold(" ".join(text.split()), width).split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(fold(" ".join(part.split()), width) for part in text.split("\n\n"))


@cache
def _options(record: type) -> list[_Option]:
    hints, texts = get_type_hints(record, include_extras=True), _texts(record)
    found = []
    for field in fields(record):
        extras = get_args(hints[field.name])[1:] if get_origin(hints[field.name]) is Annotated else ()
        if not any(extra is tyro.conf.Suppress for extra in extras):
            is_positional = any(extra is tyro.conf.Positional for extra in extras)
            found.append(_Option(field, texts.get(field.name, ""), _kind(hints[field.name]), is_positional))
    return found


def _kind(hint: Any) -> Kind:
    """What an annotation takes, as it would be written."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        named = next((extra.metavar for extra in inner[1:] if getattr(extra, "metavar", None)), None)
        return _kind(inner[0]) if named is None else Kind(named)
    if origin is Literal:
        return Kind(f"{{{','.join(map(str, inner))}}}", tuple(map(str, inner)))
    if NoneType in inner:
        return next(_kind(part) for part in inner if part is not NoneType)
    if origin is tuple:
        of = _kind(inner[0])
        several = f"[{of.metavar} ...]" if Ellipsis in inner else " ".join([of.metavar] * len(inner))
        return Kind(several, of.choices)
    return Kind("", is_flag=True) if hint is bool else Kind(METAVARS.get(hint, "PATH"))


def _texts(record: type) -> dict[str, str]:
    """The texts below the fields, those of the classes that it is made from included."""
    found: dict[str, str] = {}
    for cls in reversed(record.__mro__[:-1]):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found
