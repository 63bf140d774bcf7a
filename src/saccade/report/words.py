"""Numbers in words of a page."""

from __future__ import annotations

import math
from typing import Any

NOTHING = "\u2013"
#: keeps a number and its unit on one line
_GAP = "\u00a0"
_ENERGY_UNITS = (("mJ", 1.0), ("\u00b5J", 1e-3), ("nJ", 1e-6), ("pJ", 1e-9))


def percent(share: Any, digits: int = 2) -> str:
    """0.9123 -> 91.23 %."""
    return NOTHING if not _is_finite(share) else f"{100 * share:.{digits}f}{_GAP}%"


def count(number: Any) -> str:
    """1234567 -> 1,234,567."""
    return NOTHING if not _is_finite(number) else f"{number:,.0f}"


def plain(number: Any, digits: int = 4) -> str:
    """Significant digits."""
    return NOTHING if not _is_finite(number) else f"{number:.{digits}g}"


def seconds(number: Any) -> str:
    """75.2 -> 1 min 15 s."""
    if not _is_finite(number):
        return NOTHING
    if number < 1:
        return f"{1000 * number:.1f}{_GAP}ms"
    if number < 60:
        return f"{number:.1f}{_GAP}s"
    whole = round(number)
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def energy_unit(largest_mj: float) -> tuple[str, float]:
    """The unit in which an energy is written without many zeros, and its size in mJ."""
    for name, size in _ENERGY_UNITS:
        if largest_mj >= size:
            return name, size
    return _ENERGY_UNITS[-1]


def energy(mj: Any) -> str:
    """0.0123 -> its value in the unit that `energy_unit` finds."""
    if not _is_finite(mj):
        return NOTHING
    name, size = energy_unit(mj)
    return f"{mj / size:.4g}{_GAP}{name}"


def value(setting: Any) -> str:
    """A setting as it would be written on a command line."""
    if setting is None:
        return "none given"
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    if isinstance(setting, dict):
        return ", ".join(f"{key} {value(entry)}" for key, entry in setting.items()) or "none"
    if isinstance(setting, list | tuple):
        return ", ".join(map(value, setting)) or "none"
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
