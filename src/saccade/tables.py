"""Tables, in plain text and as a notebook shows them, and the result of a run as one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, TypeVar

R = TypeVar("R")

GAP = "  "
#: a column of text is not made narrower than this, if its words allow it; other columns then go below
NARROW = 16
#: where a name or path that is longer than a line may be broken: behind a dot, slash or underscore
BREAKS = re.compile(r"(?<=\s)|(?<=[./_])(?=[A-Za-z])")
UNLIMITED = 1 << 16
NUMBER = re.compile(r"([+-]?[\d,]*\.?\d+(%|[kMGT])?)?")


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None, width: int | None = None) -> str:
    """Rows of cells as lines of aligned columns; numbers stand to the right, in columns that hold nothing else.

    In a table that is too wide, cells have several lines, which end between words; columns that find no place even so
    go below, behind the first column once more.

    Args:
        width: columns that there are; None: those of the terminal, see `terminal_width`.

    Raises:
        ValueError: rows of different lengths.
    """
    lines = _lines(rows, header)
    if not lines:
        return ""
    right = _stand_right(rows, len(lines[0]))
    columns = [_Column(cells, on_right) for cells, on_right in zip(zip(*lines, strict=True), right, strict=True)]
    blocks = _blocks(columns, terminal_width() if width is None else width)
    return "\n\n".join(_block(block, widths, header is not None) for block, widths in blocks)


def terminal_width(otherwise: int = UNLIMITED) -> int:
    """Columns of the terminal, or as COLUMNS says; where there is neither, as many as it takes."""
    return shutil.get_terminal_size((otherwise, 24)).columns


def fold(text: str, width: int | None = None) -> str:
    """Text in lines of at most that width (None: the terminal's) that end between words; its own lines stay."""
    limit = terminal_width() if width is None else width
    return "\n".join(part for line in text.split("\n") for part in _folded(line, limit))


class _Column:
    def __init__(self, cells: Sequence[str], on_right: bool) -> None:
        self.cells, self.on_right = cells, on_right
        self.natural = max(map(len, cells))
        longest = max((len(piece.rstrip()) for cell in cells for piece in BREAKS.split(cell)), default=0)
        #: how narrow it may be made
        self.least = self.natural if on_right else min(self.natural, max(longest, NARROW))

    def lines(self, row: int, width: int) -> list[str]:
        """The lines of a cell."""
        return [line.rjust(width) if self.on_right else line.ljust(width) for line in _folded(self.cells[row], width)]


def _blocks(columns: list[_Column], limit: int) -> list[tuple[list[_Column], list[int]]]:
    """The columns in tables that go below each other, and their widths."""
    blocks = [columns[:1]]
    for column in columns[1:]:
        if sum(c.least + len(GAP) for c in blocks[-1]) + column.least > limit and len(blocks[-1]) > 1:
            blocks.append(columns[:1])
        blocks[-1].append(column)
    return [(block, _widths(block, limit)) for block in blocks]


def _widths(block: list[_Column], limit: int) -> list[int]:
    """Natural widths, the widest ones made narrower until all fit, or none can be any more."""
    widths = [column.natural for column in block]
    while sum(widths) + len(GAP) * (len(widths) - 1) > limit:
        wide = [i for i, column in enumerate(block) if widths[i] > column.least]
        if not wide:
            break
        widths[max(wide, key=lambda i: widths[i])] -= 1
    return widths


def _block(block: list[_Column], widths: list[int], has_header: bool) -> str:
    lines = []
    for row in range(len(block[0].cells)):
        cells = [column.lines(row, width) for column, width in zip(block, widths, strict=True)]
        padded = zip_longest(*cells)
        lines += [
            GAP.join(" " * width if part is None else part for part, width in zip(parts, widths, strict=True)).rstrip()
            for parts in padded
        ]
        if has_header and row == 0:
            lines.append(GAP.join("-" * width for width in widths))
    return "\n".join(lines)


def _pieces(text: str, width: int) -> Iterator[str]:
    """Words with the blank behind them; in pieces if they are longer than a line."""
    for word in re.split(r"(?<=\s)", text):
        yield from BREAKS.split(word) if len(word.rstrip()) > width else [word]


def _folded(text: str, width: int) -> list[str]:
    """Lines of at most that width, where words allow it; further lines are indented as the first."""
    indent = " " * (len(text) - len(text.lstrip()))
    lines = [indent]
    for piece in _pieces(text.lstrip(), width - len(indent)):
        if len((lines[-1] + piece).rstrip()) > width and lines[-1].strip():
            lines.append(indent)
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def html_table(
    rows: Sequence[Sequence[str]], header: Sequence[str] | None = None, caption: str = "", note: str = ""
) -> str:
    """The same as HTML, for `_repr_html_`; all text is escaped.

    Raises:
        ValueError: rows of different lengths.
    """
    lines = _lines(rows, header)
    sides = ["right" if on_right else "left" for on_right in _stand_right(rows, len(lines[0]) if lines else 0)]

    def line(cells: Sequence[str], tag: str) -> str:
        found = (f'<{tag} style="text-align: {s}">{escape(c)}</{tag}>' for c, s in zip(cells, sides, strict=True))
        return f"<tr>{''.join(found)}</tr>"

    parts = [
        f"<caption>{escape(caption)}</caption>" if caption else "",
        f"<thead>{line(lines[0], 'th')}</thead>" if header is not None else "",
        f"<tbody>{''.join(line(row, 'td') for row in rows)}</tbody>",
    ]
    return f"<table>{''.join(parts)}</table>" + (f"<p>{escape(note)}</p>" if note else "")


class Rows(list[R]):
    """What was found, row by row; as text and in a notebook a table, and a note below it.

    A row is a NamedTuple of strings, or has `cells()`, a dict of them by column.
    """

    def __init__(self, rows: Iterable[R] = (), note: str = "") -> None:
        super().__init__(rows)
        self.note = note

    def __str__(self) -> str:
        table = format_table(*self._table())
        return "\n".join([*([table] if table else []), *([self.note] if self.note else [])])

    def _repr_html_(self) -> str:
        return html_table(*self._table(), note=self.note)

    def _table(self) -> tuple[list[tuple[str, ...]], tuple[str, ...] | None]:
        found = [row.cells() if hasattr(row, "cells") else row._asdict() for row in self]  # type: ignore[attr-defined]
        return [tuple(cells.values()) for cells in found], tuple(found[0]) if found else None


def _lines(rows: Sequence[Sequence[str]], header: Sequence[str] | None) -> list[list[str]]:
    """The header, if there is one, and the rows; all of one length."""
    lines = [list(header), *map(list, rows)] if header is not None else list(map(list, rows))
    if len({len(line) for line in lines}) > 1:
        raise ValueError(f"All rows of a table need the same number of cells, but they have {[len(x) for x in lines]}.")
    return lines


def _stand_right(rows: Sequence[Sequence[str]], columns: int) -> list[bool]:
    """For each column, whether it holds numbers alone."""
    return [all(_is_number(row[i]) for row in rows) for i in range(columns)]


class RunResult(dict[str, Any]):
    """What a run's result.json holds; in a notebook, the table at the end of a run."""

    def _repr_html_(self) -> str:
        return html_table(result_rows(self))


def result_table(result: Mapping[str, Any]) -> str:
    """The table at the end of a run, from the content of its result.json."""
    return format_table(result_rows(result))


def result_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Its rows: what, and how much."""
    return [
        *(_accuracy_rows(result) if "test_accuracy" in result else _generation_rows(result)),
        *_paper_rows(result.get("paper")),
        ("parameters", f"{result['parameters']:,}"),
        ("firing rate", f"{result['firing_rate']:.4f} spikes per neuron and step"),
        ("time per step", f"{1000 * result['seconds_per_step']:.1f} ms"),
        ("training time", f"{result['seconds']:.1f} s for {result['epochs']} epochs"),
        *([("extended", result["extended"])] if "extended" in result else []),
        ("run folder", result["run_dir"]),
    ]


def paper_text(paper: Mapping[str, Any]) -> str:
    """A paper's score in words, from result.json: what it is, whether it could be checked, and whether it compares."""
    text = f"{paper['value']:g} ({paper['metric']}; {paper['chosen']}; {paper['checked']})"
    changed = paper["recipe_changed_in"]
    return f"{text}; this run changed {', '.join(changed)}" if changed else text


def _paper_rows(paper: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [("the paper's score", paper_text(paper))] if paper else []


def accuracy_text(accuracy: float, samples: int, origin: Mapping[str, Any] = MappingProxyType({})) -> str:
    """An accuracy with the number of samples; and that it was cut short, where card or result (`origin`) say so."""
    text = f"{accuracy:.2%} of {samples} samples"
    return f"{text}; CUT SHORT: {origin['cut_short']}" if "cut_short" in origin else text


def _accuracy_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("test accuracy", accuracy_text(result["test_accuracy"], result["test_samples"], result))]
    if result["test_top5"] is not None:
        rows.append(("test top-5 accuracy", f"{result['test_top5']:.2%}"))
    return rows


def _generation_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    distance, settings = result["frechet_autoencoder_distance"], result["frechet_autoencoder_distance_is"]
    return [
        (
            "test reconstruction",
            f"{result['test_reconstruction']:.4f} (MSE in [-1, 1], {result['test_samples']} samples)"
            + (f"; CUT SHORT: {result['cut_short']}" if "cut_short" in result else ""),
        ),
        ("Fréchet autoencoder", "none: " + settings if distance is None else f"{distance:.2f} ({settings})"),
    ]


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None
