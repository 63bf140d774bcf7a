"""Code of the user's own: a file that is named on the command line, and packages that are installed as plugins.

Both register recipes, networks, attention modules, losses and data sets with the decorators that the package uses too.

A file is run because somebody named it: in this command, or with this very content in an earlier one of the same
account. What a config.json or a card says alone runs nothing, since both may come from anywhere. A plugin is a package
with an entry point in the group `saccade.plugins`; to install it was to trust it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from saccade.files import sha256_of

GROUP = "saccade.plugins"
#: filled when the plugins have been imported
_installed: list[bool] = []
#: hashes of the files that were named in this process and in those above it
NAMED = "SACCADE_NAMED_CODE"


@dataclass(frozen=True)
class Code:
    """A file that was run."""

    path: Path
    sha256: str
    #: name of the module that it became
    module: str


def split_recipe(word: str) -> tuple[Path | None, str]:
    """ "my_experiment.py:name" -> the file and the recipe's name; "name" -> None and the name."""
    stem, suffix, rest = word.rpartition(".py")
    if suffix and rest[:1] in ("", ":"):
        return Path(stem + suffix), rest[1:]
    return None, word


def run_file(path: Path | str) -> Code:
    """Run a file that the user has named, unless it has been run, and remember that its content was named.

    It becomes the module of its name, and can import what lies beside it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its name is no name of a module, or that of another one.
    """
    path = Path(path).resolve()
    code = Code(path, _sha256(path), path.stem)
    if not code.module.isidentifier():
        raise ValueError(f"{path.name} becomes a module, so its name must be one: letters, digits and underscores.")
    if code.module not in sys.modules and importlib.util.find_spec(code.module) is None:
        # At the end of the path: what lies beside the file hides no library. Processes that load data get it too.
        sys.path.append(str(path.parent))
        importlib.invalidate_caches()
    there = sys.modules.get(code.module) or importlib.util.find_spec(code.module)
    if Path(getattr(there, "__file__", None) or getattr(there, "origin", None) or "").resolve() != path:
        raise ValueError(f"There is another module named {code.module!r}. Give {path} another name.")
    importlib.import_module(code.module)
    _remember(code.sha256)
    return code


def run_recorded(path: str, sha256: str, of: Path | str) -> None:
    """Run the file that a configuration or a card names, if its content is one that the user has named before.

    Args:
        path: the file, as recorded.
        sha256: of its content when it was recorded.
        of: what names it, for the error.

    Raises:
        ValueError: it is not there, has changed, or was never named by this user.
    """
    how = "If you trust it, name it: --code FILE, or code=FILE in Python."
    if not Path(path).is_file():
        raise ValueError(f"{of} was made with code of its own, {path}, which is not there. {how}")
    if _sha256(Path(path)) != sha256:
        raise ValueError(f"{of} was made with code of its own, {path}, which has changed since. {how}")
    if sha256 not in _named():
        raise ValueError(f"{of} needs code of its own, {path}, which you have not run before. {how}")
    run_file(path)


def load_installed() -> None:
    """Import every plugin that is installed, once; ValueError for one that cannot be."""
    if _installed:
        return
    _installed.append(True)  # first: a plugin that asks for a name while it is imported comes here again
    for entry in metadata.entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            _installed.clear()
            raise ValueError(
                f"The plugin {entry.name!r} ({entry.value}) cannot be imported ({type(error).__name__}: {error}). Mend "
                "or uninstall its package."
            ) from error


def import_files(package: str) -> None:
    """Import every file of one of saccade's own folders, so that what it registers is known without a list of files.

    Called at the end of the folder's `__init__`, whose names are there by then.
    """
    for file in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{file.name}")


def package_of(module: str) -> str | None:
    """The installed package that a module belongs to; None: saccade itself, or no package."""
    top = module.partition(".")[0]
    names = [] if top == "saccade" else metadata.packages_distributions().get(top, [])
    return names[0] if names else None


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    return sha256_of(path)


def _named() -> set[str]:
    kept = ""
    with suppress(OSError):
        kept = _memory().read_text(encoding="ascii", errors="replace")
    return {*kept.split(), *os.environ.get(NAMED, "").split()}


def _remember(sha256: str) -> None:
    if sha256 in _named():
        return
    os.environ[NAMED] = f"{os.environ.get(NAMED, '')} {sha256}".strip()  # processes started from here know it too
    with suppress(OSError):  # without a home to write to, later commands have to name the file again
        _memory().parent.mkdir(parents=True, exist_ok=True)
        with _memory().open("a", encoding="ascii") as file:
            file.write(f"{sha256}\n")


def _memory() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111  never raises
    return Path(state) / "saccade" / "named_code"
