"""The sentences users read when something is wrong: nearest names, missing extras.

Every error says what was given, what is needed and what to do. Errors that the user can cause are `ValueError` (or a
subclass), so that the command line can print the sentence alone, without a traceback.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class MissingExtraError(ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


def unknown_name(kind: str, name: str, known: Iterable[str], of: str = "") -> ValueError:
    """The error for a name that is not registered: up to three that are near, or all if none is.

    Args:
        kind: what is named, e.g. "option".
        name: what was given.
        known: the names that there are.
        of: whose name it is, e.g. "attention 'dta'".
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(names) or 'none'}."
    return ValueError(f"Unknown {kind} {name!r}{f' of {of}' if of else ''}. {hint}")


def require(module: str, extra: str) -> ModuleType:
    """Import an optional library, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise  # the library is there, something it needs is not: that traceback is the useful one
        library = module.partition(".")[0]
        raise MissingExtraError(
            f"This needs {library}, which is not installed. Install it with: pip install 'saccade[{extra}]'"
        ) from None
