"""What an operation costs: tables of energies in picojoule, with their sources."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from saccade.errors import unknown_name
from saccade.probe.rules import Operations

HOROWITZ = (
    "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, doi 10.1109/ISSCC.2014.6757323"
)


@dataclass(frozen=True)
class CostTable:
    """Energies per operation in pJ: arithmetic alone, no memory, no communication."""

    name: str
    #: a multiplication whose product is added to a sum
    mac_pj: float
    #: an addition to a sum, of a weight that a spike selects
    ac_pj: float
    #: a multiplication alone
    mul_pj: float
    #: an addition alone
    add_pj: float
    #: a sigmoid, GELU, exponential or the like
    function_pj: float
    source: str

    def energy_pj(self, o: Operations) -> float:
        """Energy of some operations, in pJ."""
        return (
            self.mac_pj * o.macs
            + self.ac_pj * o.acs
            + self.mul_pj * o.muls
            + self.add_pj * o.adds
            + self.function_pj * o.functions
        )


FLOAT32 = CostTable(
    "45nm-float32", 4.6, 0.9, 3.7, 0.9, 0.0, f"{HOROWITZ}: 45 nm, 0.9 V, add 0.9 pJ, multiply 3.7 pJ, MAC their sum"
)
FLOAT16 = CostTable(
    "45nm-float16", 1.5, 0.4, 1.1, 0.4, 0.0, f"{HOROWITZ}: 45 nm, 0.9 V, add 0.4 pJ, multiply 1.1 pJ, MAC their sum"
)
INT8 = CostTable(
    "45nm-int8", 0.23, 0.03, 0.2, 0.03, 0.0, f"{HOROWITZ}: 45 nm, 0.9 V, add 0.03 pJ, multiply 0.2 pJ, MAC their sum"
)
TABLES = {table.name: table for table in (FLOAT32, FLOAT16, INT8)}


def cost_table(name: str) -> CostTable:
    """A table by name, or from a JSON file of the user's, whose name ends in .json.

    The file holds `mac_pj` and `ac_pj`, and may hold the other fields of `CostTable`. What it leaves out: a
    multiplication costs what a MAC costs more than an AC, an addition what an AC costs, a function nothing.

    Raises:
        ValueError: unknown name, or a file that is no such table.
        FileNotFoundError: there is no such file.
    """
    if not name.endswith(".json"):
        if name not in TABLES:
            raise unknown_name("cost table", name, [*TABLES, "FILE.json"])
        return TABLES[name]
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f'There is no cost table {path}. Its content would be: {{"mac_pj": 4.6, "ac_pj": 0.9}}.'
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The cost table {path} cannot be read as JSON ({error}).") from None
    return table_from_json(content, path)


def table_from_json(content: Any, path: Path) -> CostTable:
    """A table from a JSON object, which was read from `path`; see `cost_table`."""
    if not isinstance(content, dict) or not {"mac_pj", "ac_pj"} <= content.keys():
        raise ValueError(f"The cost table {path} must be a JSON object with at least mac_pj and ac_pj.")
    known = [field.name for field in fields(CostTable)]
    for key, value in content.items():
        if key not in known:
            raise unknown_name("field", key, known, of=f"the cost table {path}")
        if key.endswith("_pj") and not _is_cost(value):
            raise ValueError(f"{key} in {path} must be a number of picojoules, 0 or more, not {value!r}.")
    defaults = {
        "name": path.stem,
        "mul_pj": max(0.0, content["mac_pj"] - content["ac_pj"]),
        "add_pj": content["ac_pj"],
        "function_pj": 0.0,
        "source": f"{path.name}, given by the user",
    }
    return CostTable(**{**defaults, **content})


def _is_cost(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
