"""The archives that the sets are published in: fetched where a link leads to them, checked by MD5, unpacked.

Nothing counts as there before it is complete: an archive is downloaded under another name, goes on where it stopped,
and is taken only with the right MD5; a folder is unpacked under another name and then renamed.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from saccade.data.events.sets import Archive, EventSet

#: called with (name of the archive, bytes done, bytes in all; 0 if unknown)
ArchiveProgress = Callable[[str, int, int], None]
BLOCK = 2**20
PATIENCE_S = 30.0
# Some hosts refuse the name that Python gives itself.
HEADERS = {"User-Agent": "saccade"}


def unpack_all(event_set: EventSet, root: Path) -> list[Path]:
    """Unpack the set's archives that lie in its folder, or in `download` inside it; returns those that were unpacked.

    Raises:
        ValueError: an archive with another MD5 than published, or one that cannot be unpacked.
    """
    folder = root / event_set.folder
    unpacked = []
    for archive in event_set.archives:
        for place in (folder, folder / "download"):
            path = place / archive.name
            if path.is_file() and not _mark(folder, archive).is_file():
                check_md5(path, archive)
                _unpack(path, folder)
                _mark(folder, archive).write_text(f"{archive.name} {archive.md5}\n")
                unpacked.append(path)
                break
    return unpacked


def download_all(event_set: EventSet, root: Path, progress: ArchiveProgress | None = None) -> None:
    """Fetch the set's archives into its folder.

    Raises:
        FileNotFoundError: there is no link, or the host refuses; the message says which files go where.
    """
    folder = root / event_set.folder
    for archive in event_set.archives:
        target = folder / archive.name
        if target.is_file() or _mark(folder, archive).is_file():
            continue
        if not archive.url:
            raise FileNotFoundError(f"{event_set.name} has to be fetched by hand.\n{event_set.where(root)}")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            download(archive, target, progress)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"{archive.name} could not be downloaded ({error}).\n{event_set.where(root)}"
            ) from error


def download(archive: Archive, target: Path, progress: ArchiveProgress | None = None) -> None:
    """Fetch one archive, going on with what an earlier attempt left; it appears under its name only when it is right.

    Raises:
        OSError: the host cannot be reached or refuses.
        ValueError: what came is not the published file.
    """
    partial = target.with_name(f"{target.name}.partial")
    start = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(
        archive.url, headers={**HEADERS, **({"Range": f"bytes={start}-"} if start else {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            if answer.status != 206:  # the host sends the whole file again
                start = 0
            total = start + int(answer.headers.get("Content-Length") or 0)
            with partial.open("ab" if start else "wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    start += len(block)
                    if progress is not None:
                        progress(archive.name, start, total)
            if start < total:
                raise OSError(
                    f"the connection broke off after {start:,} of {total:,} bytes; try again to go on from there"
                )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:  # nothing is left to send: all of it is here
            raise
    try:
        check_md5(partial, archive)
    except ValueError:
        partial.unlink()
        raise
    partial.replace(target)


def check_md5(path: Path, archive: Archive) -> None:
    """ValueError if a file is not the published archive."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != archive.md5:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes and MD5 {digest.hexdigest()}, but as published it has MD5 "
            f"{archive.md5}. It is incomplete, or another file. Fetch it again."
        )


def _mark(folder: Path, archive: Archive) -> Path:
    """The file that says that an archive has been unpacked."""
    return folder / f".{archive.name}.unpacked"


def _unpack(path: Path, folder: Path) -> None:
    """Unpack an archive into a folder; what is there under the same name is replaced."""
    temporary = folder / f".{path.name}.unpacking"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as zip_file:
                zip_file.extractall(temporary)  # leaves out ".." and absolute paths
        elif not hasattr(tarfile, "data_filter"):
            raise ValueError(
                f"{path} cannot be unpacked: tarfile of this Python lets an archive write outside its folder. Take "
                f"Python 3.10.12, 3.11.4 or later, or unpack it yourself into {folder}."
            )
        else:
            with tarfile.open(path) as tar_file:
                tar_file.extractall(temporary, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}). Fetch it again.") from error
    for entry in temporary.iterdir():
        there = folder / entry.name
        if there.is_dir():
            shutil.rmtree(there)
        entry.replace(there)
    temporary.rmdir()
