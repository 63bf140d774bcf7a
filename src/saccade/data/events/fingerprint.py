"""Which files a set is made of, by content: SHA-256 of each, remembered until its size or time of change differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from saccade.atomic import write_text
from saccade.files import FileError, read_object

#: called with (done, total)
Progress = Callable[[int, int], None]
# So much work is lost at most when a first pass over many files is stopped.
SAVE_EVERY = 500
BLOCK = 2**20


def content_hashes(files: Iterable[Path], memory: Path, progress: Progress | None = None) -> dict[Path, str]:
    """SHA-256 of every file.

    Args:
        files: what to hash.
        memory: a JSON file that keeps {path: [bytes, time of change in ns, hash]} from one call to the next. A file of
            the same size and time of change is taken to be the same, as git does.
    """
    known = _recall(memory)
    files = list(dict.fromkeys(files))
    hashes, fresh = {}, 0
    for done, path in enumerate(files, 1):
        state = path.stat()
        key, stamp = str(path.resolve()), [state.st_size, state.st_mtime_ns]
        if known.get(key, [])[:2] != stamp:
            known[key] = [*stamp, file_hash(path)]
            fresh += 1
            if fresh % SAVE_EVERY == 0:
                _remember(memory, known)
        hashes[path] = known[key][2]
        if progress is not None:
            progress(done, len(files))
    if fresh:
        _remember(memory, known)
    return hashes


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _recall(memory: Path) -> dict[str, list]:
    try:
        known = read_object(memory)
    except (OSError, FileError):
        return {}
    return {path: entry for path, entry in known.items() if isinstance(entry, list) and len(entry) == 3}


def _remember(memory: Path, known: dict[str, list]) -> None:
    with suppress(OSError):  # a folder that cannot be written to: hash again next time
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_text(memory, json.dumps(known, indent=0))
