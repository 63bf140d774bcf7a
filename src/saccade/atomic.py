"""Files that are written whole or not at all: a temporary name in the same folder, then a rename.

Whoever reads `path` sees the old content or the new one, also after a crash or a kill at any moment.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".part"
# Whoever is still writing has written since.
STALE_S = 3600.0
# Written to see whether the disk takes any more.
ASKED_BYTES = 2**16


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write to; on leaving without an error it becomes `path`, on disk for good.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; it names `path`, whatever the writer said of it.
    """
    _remove_stale(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except Exception as error:
        refusal = _refusal(error, temporary)
        if refusal is None:
            raise
        raise OSError(refusal.errno, refusal.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left behind in a folder."""
    for leftover in folder.glob(f".*{SUFFIX}"):
        leftover.unlink(missing_ok=True)


def _refusal(error: Exception, temporary: Path) -> OSError | None:
    """What the system refused, if that is what stopped a writer; None if it was something else.

    Libraries have words of their own for a full disk ("unexpected pos 640 vs 534"), so the disk itself is asked.
    """
    if isinstance(error, OSError):
        return error if error.filename in (None, str(temporary)) and error.errno is not None else None
    try:
        with temporary.open("ab") as file:
            file.write(bytes(ASKED_BYTES))
    except OSError as refusal:
        return refusal
    return None


def _remove_stale(path: Path) -> None:
    """Delete what a writer of this path left behind when it was killed, if nobody has touched it for an hour."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{SUFFIX}"):
        with suppress(OSError):  # another process may be doing the same
            if time.time() - leftover.stat().st_mtime > STALE_S:
                leftover.unlink()


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems, and Windows, cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
