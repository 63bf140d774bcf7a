"""Tables, in plain text and as a notebook shows them, and the result of a run as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any, TypeVar

R = TypeVar("R")


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> str:
    """Rows of cells as lines of aligned columns; numbers stand to the right, in columns that hold nothing else.

    Raises:
        ValueError: rows of different lengths.
    """
    lines = _lines(rows, header)
    if not lines:
        return ""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = _stand_right(rows, len(widths))
    if header is not None:
        lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if on_right else cell.ljust(width)
            for cell, width, on_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


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
    return not cell or cell.strip("+-").replace(",", "").replace(".", "", 1).rstrip("%").isdigit()
