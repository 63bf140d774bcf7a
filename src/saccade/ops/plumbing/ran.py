"""Which kernels have run, and one line, once, where a slow one was taken.

Both functions are called in the middle of operations. torch.compile calls them while it traces, as constants.
"""

from __future__ import annotations

import warnings

_ran: set[str] = set()
_said: set[str] = set()


def note_ran(backend: str) -> None:
    """Remember that a backend ran."""
    _ran.add(backend)


def say_once(line: str) -> None:
    """Warn with a line that has not been said in this process."""
    if line not in _said:
        _said.add(line)
        warnings.warn(line, RuntimeWarning, stacklevel=4)


note_ran._dynamo_marked_constant = True  # type: ignore[attr-defined]
say_once._dynamo_marked_constant = True  # type: ignore[attr-defined]


def take_ran() -> list[str]:
    """The backends that have run since the last call, in order of their names."""
    found = sorted(_ran)
    _ran.clear()
    return found
