"""The lines of text that begin AEDAT 2.0, AEDAT 3.1 and Prophesee DAT files."""

from __future__ import annotations

from pathlib import Path

from saccade.data.events.recording import RecordingError

LONGEST_LINE = 4096
MOST_LINES = 2**16


def header_lines(path: Path, content: bytes, mark: bytes, end: bytes | None = None) -> tuple[list[str], int]:
    """The lines that begin with `mark`, and where the data after them begins.

    The line `end`, where there is one, is the last. Raises RecordingError for a header that is not text.
    """
    lines: list[str] = []
    start = 0
    while content.startswith(mark, start):
        stop = content.find(b"\n", start, start + LONGEST_LINE)
        line = content[start:stop].rstrip()
        if stop < 0 or not line.isascii() or len(lines) == MOST_LINES:
            raise RecordingError(
                path, f"its header is damaged: line {len(lines) + 1} (byte {start}) is not a line of text."
            )
        lines.append(line.decode("ascii"))
        start = stop + 1
        if line == end:
            break
    return lines, start
