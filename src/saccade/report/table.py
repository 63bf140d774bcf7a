"""Tables in plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> str:
    """Rows of cells as lines of aligned columns; numbers stand to the right, in columns that hold nothing else.

    Raises:
        ValueError: rows of different lengths.
    """
    lines = [list(header), *map(list, rows)] if header is not None else list(map(list, rows))
    if not lines:
        return ""
    if len({len(line) for line in lines}) != 1:
        raise ValueError(f"All rows of a table need the same number of cells, but they have {[len(x) for x in lines]}.")
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
    if header is not None:
        lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if on_right else cell.ljust(width)
            for cell, width, on_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def result_table(result: dict[str, Any]) -> str:
    """The table at the end of a run, from the content of its result.json."""
    rows = [
        *(_accuracy_rows(result) if "test_accuracy" in result else _generation_rows(result)),
        *_paper_rows(result.get("paper")),
        ("parameters", f"{result['parameters']:,}"),
        ("firing rate", f"{result['firing_rate']:.4f} spikes per neuron and step"),
        ("time per step", f"{1000 * result['seconds_per_step']:.1f} ms"),
        ("training time", f"{result['seconds']:.1f} s for {result['epochs']} epochs"),
        *([("extended", result["extended"])] if "extended" in result else []),
        ("run folder", result["run_dir"]),
    ]
    return format_table(rows)


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


def _accuracy_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("test accuracy", accuracy_text(result["test_accuracy"], result["test_samples"], result))]
    if result["test_top5"] is not None:
        rows.append(("test top-5 accuracy", f"{result['test_top5']:.2%}"))
    return rows


def _generation_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
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
