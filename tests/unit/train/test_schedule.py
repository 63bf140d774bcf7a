"""The learning rate over a run."""

from __future__ import annotations

import math

import pytest

from saccade.train.build import check_names
from saccade.train.config import Experiment
from saccade.train.learning.schedule import _REGISTRY, learning_rate_factor, register_schedule


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


def test_a_constant_rate_warms_up_and_stays():
    factors = [learning_rate_factor(step, 100, 4, "constant") for step in range(101)]
    assert factors == [0.25, 0.5, 0.75, *[1.0] * 98]


def test_your_own(monkeypatch):
    monkeypatch.setattr("saccade.train.learning.schedule._REGISTRY", dict(_REGISTRY))

    @register_schedule("linear")
    def linear(done):
        return 1 - done

    assert learning_rate_factor(30, 100, 20, "linear") == pytest.approx(1 - 10 / 80)
    with pytest.raises(ValueError, match="A schedule named 'linear' is already registered"):
        register_schedule("linear")(linear)


def test_an_unknown_schedule_is_refused_before_anything_is_loaded():
    with pytest.raises(ValueError, match=r"Unknown schedule 'cosin'. Did you mean 'cosine'"):
        check_names(Experiment(recipe="", model="msresnet18", data="digits", schedule="cosin"))
