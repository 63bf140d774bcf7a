"""The learning rate over a run."""

from __future__ import annotations

import math

import pytest

from saccade.train.schedule import learning_rate_factor


def test_cosine_without_warmup():
    factors = [learning_rate_factor(step, 100) for step in range(101)]
    assert factors[0] == 1
    assert factors[50] == pytest.approx(0.5)
    assert factors[25] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert factors[100] == pytest.approx(0)
    assert factors == sorted(factors, reverse=True)


def test_warmup_rises_in_equal_steps_to_the_peak():
    factors = [learning_rate_factor(step, 100, warmup_steps=4) for step in range(6)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[5] < 1


def test_it_stays_at_zero_after_the_end():
    assert learning_rate_factor(120, 100) == pytest.approx(0)
