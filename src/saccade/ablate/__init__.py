"""Ablations: the same experiment many times over, changed in named fields, with the same seeds for every change.

`Grid` says which runs there are, `run_grid` has them done by separate processes on one machine or on many, and
`summarise` compares them. The command line is `saccade ablate`.
"""

from saccade.ablate.control import width_matched
from saccade.ablate.grid import MATCHED, Cell, Grid, parse_vary
from saccade.ablate.record import make_record, read_records
from saccade.ablate.run import run_grid
from saccade.ablate.statistics import Comparison, Row, compare, summarise

__all__ = [
    "MATCHED",
    "Cell",
    "Comparison",
    "Grid",
    "Row",
    "compare",
    "make_record",
    "parse_vary",
    "read_records",
    "run_grid",
    "summarise",
    "width_matched",
]
