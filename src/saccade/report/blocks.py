"""What a report is made of, before it is HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of short remarks."""

    items: Sequence[str]


@dataclass(frozen=True)
class Missing:
    """What should be here and is not, why, and what brings it."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row names it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A figure. `name` is unique in the report; `alt` says what is seen, `caption` what it means."""

    name: str
    figure: Figure
    alt: str
    caption: str
    #: pictures of many columns keep their width and scroll on a phone
    wide: bool = False


@dataclass(frozen=True)
class Fold:
    """Details that open on demand."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Code:
    """Text to be copied, as it is."""

    text: str


Block = Code | Text | Items | Missing | Table | Picture | Fold


@dataclass
class Section:
    """A part of the report."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A title and sections."""

    title: str
    subtitle: str
    sections: Sequence[Section]
