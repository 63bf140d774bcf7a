"""Files that may come from anybody: looked at before they are opened, and never larger in memory than is said here.

A pipe or a device among data would be waited for for ever, a link may lead anywhere, and a small file may claim to be
huge. All of that is refused with a sentence that names the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from saccade.atomic import write_text

#: the largest file that is read as a whole
MOST_BYTES = 2**29
MOST_JSON_BYTES = 2**28
#: characters of a library's own words that are quoted
LONGEST_REASON = 200


class FileError(ValueError):
    """A file that cannot be read; the message names it, and says what is wrong with it."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"Cannot read {printable(path)}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[FileError], tuple[Path, str]]:
        return type(self), (self.path, self.problem)  # the default would pickle the message alone


def printable(name: object) -> str:
    """A name as it can be shown: characters that steer a terminal, or are none, are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(name))


def brief(error: object) -> str:
    """What a library said of a file, as it can be shown in a sentence: its first line, escaped and cut."""
    text = printable((str(error).splitlines() or [type(error).__name__])[0])
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def read_file(path: Path, most: int = MOST_BYTES, error: type[FileError] = FileError) -> bytes:
    """The content of a regular file of at most so many bytes.

    Raises:
        FileError: (or the subclass asked for) a pipe, a device, a folder, or a file that is too large.
        FileNotFoundError: there is no such file.
    """
    state = path.stat()
    _require_regular(path, state.st_mode, error)
    if state.st_size > most:
        raise error(path, f"it has {state.st_size:,} bytes, and {most:,} are the most that is read. Cut it.")
    with path.open("rb") as file:
        return file.read(most)


def read_object(path: Path, most: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """A JSON object from a file, of whatever size, depth and content that has; FileError if it is none."""
    try:
        content = json.loads(read_file(path, most))
    except FileError:
        raise
    except (ValueError, RecursionError) as error:  # not text, not JSON, numbers without end, nested too deep
        raise FileError(path, f"it is no JSON ({brief(error)}).") from None
    if not isinstance(content, dict):
        raise FileError(path, f"it must hold a JSON object, but holds a {type(content).__name__}.")
    return content


def write_object(path: Path, content: dict[str, Any], indent: int = 2) -> None:
    """Write a JSON object, whole or not at all."""
    write_text(path, object_text(content, indent))


def object_text(content: dict[str, Any], indent: int = 2) -> str:
    """A JSON object as it stands in a file."""
    return json.dumps(content, indent=indent) + "\n"


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check_tree(paths: Iterable[Path], folder: Path) -> None:
    """FileError for the first path that is no regular file, leads out of the folder, or has a name that is no text.

    The folder itself may be a link, and links inside it may lead to other files inside it.
    """
    home = folder.resolve()
    seen: set[Path] = set()
    for path in paths:
        if printable(path.name) != path.name or printable(path.parent.name) != path.parent.name:
            raise FileError(path, "its name holds control characters, or is not text. Rename it.")
        if path.parent not in seen:
            require_inside(path.parent, home)
            seen.add(path.parent)
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode):
            require_inside(path, home)
            state = path.stat()
        _require_regular(path, state.st_mode, FileError)


def require_inside(path: Path, home: Path) -> None:
    """FileError for a path that leads out of a (resolved) folder, or nowhere."""
    try:
        real = Path(os.path.realpath(path, strict=True))
    except OSError as error:  # a link to itself, or to nothing
        raise FileError(path, f"it is a link that leads nowhere ({error.strerror}). Remove it.") from None
    if not real.is_relative_to(home):
        raise FileError(
            path,
            f"it leads out of the data's own folder, to {printable(real)}. Copy what it leads to, or make the whole "
            f"folder {printable(home)} the link.",
        )


def _require_regular(path: Path, mode: int, error: type[FileError]) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket"}
        raise error(path, f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file. Remove it.")
