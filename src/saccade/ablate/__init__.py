"""Ablations: the same experiment many times over, changed in named fields, with the same seeds for every change.

`Grid` says which runs there are, or `Search` draws them; `run_grid` has them done by Ray Tune, on one machine or many,
and `summarise` compares them. The command line is `saccade ablate`.
"""

from saccade.ablate.control import width_matched
from saccade.ablate.engine import Place, run_grid
from saccade.ablate.grid import MATCHED, Cell, Grid, parse_vary
from saccade.ablate.record import make_record, read_records
from saccade.ablate.search import Search, parse_search
from saccade.ablate.statistics import Comparison, Row, compare, summarise

__all__ = [
    "MATCHED",
    "Cell",
    "Comparison",
    "Grid",
    "Place",
    "Row",
    "Search",
    "compare",
    "make_record",
    "parse_search",
    "parse_vary",
    "read_records",
    "run_grid",
    "summarise",
    "width_matched",
]
