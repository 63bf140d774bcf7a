"""The losses against their formulas, written out in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from saccade.recipes import get_recipe
from saccade.train.build import check_names
from saccade.train.losses import (
    _REGISTRY,
    build_loss,
    cross_entropy_of_mean,
    mse_of_rate,
    mse_of_steps,
    register_loss,
    tet,
)

T, B, K = 3, 4, 5


@pytest.fixture
def logits():
    return torch.randn(T, B, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


LABELS = torch.tensor([0, 4, 2, 2])
SOFT = torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0.25, 0.75, 0], [1, 0, 0, 0, 0], [0.2] * 5], dtype=torch.float64)


def distribution(target, smoothing):
    onehot = np.eye(K)[target.numpy()] if target.ndim == 1 else target.numpy()
    return onehot * (1 - smoothing) + smoothing / K


def cross_entropy(z_BK, target, smoothing):
    log_p = z_BK - np.log(np.exp(z_BK).sum(-1, keepdims=True))
    return -(distribution(target, smoothing) * log_p).sum(-1).mean()


@pytest.mark.parametrize("target", [LABELS, SOFT], ids=["labels", "soft"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
class TestFormulas:
    def test_cross_entropy_takes_the_mean_over_steps_first(self, logits, target, smoothing):
        expected = cross_entropy(logits.numpy().mean(0), target, smoothing)
        assert cross_entropy_of_mean(logits, target, smoothing).item() == pytest.approx(expected, abs=1e-12)

    def test_tet_takes_the_cross_entropy_at_every_step(self, logits, target, smoothing):
        z = logits.numpy()
        every_step = np.mean([cross_entropy(z_t, target, smoothing) for z_t in z])
        expected = 0.9 * every_step + 0.1 * ((z - 1) ** 2).mean()
        assert tet(logits, target, smoothing, tet_lambda=0.1).item() == pytest.approx(expected, abs=1e-12)

    def test_mse_compares_the_mean_rate_with_the_target(self, logits, target, smoothing):
        expected = ((logits.numpy().mean(0) - distribution(target, smoothing)) ** 2).mean()
        assert mse_of_rate(logits, target, smoothing).item() == pytest.approx(expected, abs=1e-12)

    def test_smse_compares_every_step_with_the_target(self, logits, target, smoothing):
        wanted = distribution(target, smoothing)
        expected = np.mean([((z_t - wanted) ** 2).mean() for z_t in logits.numpy()])
        found = mse_of_steps(logits, target, smoothing).item()
        assert found == pytest.approx(expected, abs=1e-12)
        spread = logits.var(0, unbiased=False).mean().item()
        assert found == pytest.approx(mse_of_rate(logits, target, smoothing).item() + spread, abs=1e-12)


@pytest.fixture
def hinge(monkeypatch):
    monkeypatch.setattr("saccade.train.losses._REGISTRY", dict(_REGISTRY))

    @register_loss("hinge")
    def hinge(logits, target):
        return (1 - logits.mean(0).gather(1, target[:, None])).clamp_min(0).mean()

    return hinge


def test_a_loss_of_ones_own_is_taken_by_name(logits, hinge):
    check_names(replace(get_recipe("digits-dta"), loss="hinge"))
    assert build_loss("hinge")(logits, LABELS) == hinge(logits, LABELS)
    with pytest.raises(ValueError, match="'hinge' takes no label_smoothing"):
        build_loss("hinge", 0.1)
    with pytest.raises(ValueError, match="A loss named 'hinge' is already registered"):
        register_loss("hinge")(hinge)


def test_an_unknown_loss_is_refused_before_anything_is_loaded():
    with pytest.raises(ValueError, match="Unknown loss 'hinge'"):
        check_names(replace(get_recipe("digits-dta"), loss="hinge"))


def test_losses_by_name_carry_their_options(logits):
    assert build_loss("ce", 0.1)(logits, LABELS) == cross_entropy_of_mean(logits, LABELS, 0.1)
    assert build_loss("tet", 0.1, 0.3)(logits, LABELS) == tet(logits, LABELS, 0.1, 0.3)
    assert build_loss("smse", 0.1)(logits, LABELS) == mse_of_steps(logits, LABELS, 0.1)
    assert build_loss("mse", 0.1)(logits, LABELS) == mse_of_rate(logits, LABELS, 0.1)
    with pytest.raises(ValueError, match=r"Unknown loss 'tett'\. Did you mean 'tet'"):
        build_loss("tett")


def test_targets_that_do_not_fit_are_refused(logits):
    with pytest.raises(ValueError, match=r"need integer labels \[4\] or soft targets \[4, 5\]"):
        cross_entropy_of_mean(logits, SOFT[:, :3])
    with pytest.raises(ValueError, match=r"takes logits \[T, B, K\]"):
        tet(logits[0], LABELS)
