"""What a run leaves, damaged at random: read or refused. Thousands of cases more with SACCADE_FUZZ=20."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from fuzzers import FUZZERS, LONG, emptied

CASES = 60


@pytest.mark.parametrize("name", FUZZERS)
def test_damaged_at_random(tmp_path, capsys, name):
    attempt = FUZZERS[name](emptied(tmp_path / "case"))
    read = 0
    for case in range(CASES * LONG):
        try:
            read += attempt(random.Random(f"{name} {case}"))
        except BaseException as error:
            raise AssertionError(f"{name}, case {case}: {error!r}") from error
    assert read < CASES * LONG  # some are refused
