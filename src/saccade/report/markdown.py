"""A report as Markdown, with its figures as PNG files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from saccade.report.blocks import Block, Code, Fold, Items, Missing, Picture, Report, Table, Text


def render_markdown(report: Report, figures: str) -> str:
    """The text; `figures` is the folder of the pictures, seen from the file."""
    parts = [f"# {_line(report.title)}", _line(report.subtitle)]
    for section in report.sections:
        parts += [f"## {section.title}", *_blocks(section.blocks, figures)]
    return "\n\n".join(parts) + "\n"


def _blocks(blocks: Iterable[Block], figures: str) -> list[str]:
    return [text for block in blocks for text in _block(block, figures)]


def _block(block: Block, figures: str) -> list[str]:
    match block:
        case Code(text):
            return [f"```\n{text.rstrip()}\n```"]
        case Text(text):
            return [_line(text)]
        case Items(items):
            return ["\n".join(f"- {_line(item)}" for item in items)]
        case Missing(text):
            return [f"> **Missing.** {_line(text)}"]
        case Table(caption, header, rows):
            return [f"*{_line(caption)}*", _table(header, rows)]
        case Picture():
            return [f"![{_line(block.alt)}]({figures}/{block.name}.png)", f"*{_line(block.caption)}*"]
        case Fold(title, inner):
            return [f"### {_line(title)}", *_blocks(inner, figures)]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, [" :-- ", *[" --: "] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _line(text: str) -> str:
    """On one line, without what Markdown or HTML would take for a command."""
    flat = " ".join(str(text).split())
    for special in ("\\", "*", "_", "<", "[", "]"):
        flat = flat.replace(special, f"\\{special}")
    return flat
