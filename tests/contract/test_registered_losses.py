"""What every registered loss must do."""

from __future__ import annotations

import pytest
import torch

from saccade.train.losses import build_loss, list_losses

every_loss = pytest.mark.parametrize("name", list_losses())
T, B, K = 4, 6, 5


def outputs() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(T, B, K, generator=draw, dtype=torch.float64, requires_grad=True)


@every_loss
def test_it_is_a_number_with_a_gradient(name):
    logits, target = outputs(), torch.arange(B) % K
    loss = build_loss(name)(logits, target)
    assert (loss.shape, loss.dtype) == ((), torch.float64)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.any()


@every_loss
def test_following_the_gradient_makes_it_smaller_and_the_answers_right(name):
    logits, target = outputs(), torch.arange(B) % K
    loss = build_loss(name)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    before = loss(logits, target).item()
    for _ in range(100):
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()
    assert loss(logits, target) < before
    assert torch.equal(logits.mean(0).argmax(-1), target)


@every_loss
def test_labels_are_the_shares_of_one_class(name):
    """Mixed samples have shares [B, K] for a target."""
    logits, target = outputs(), torch.arange(B) % K
    shares = torch.nn.functional.one_hot(target, K).to(logits.dtype)
    torch.testing.assert_close(build_loss(name)(logits, shares), build_loss(name)(logits, target))


@every_loss
def test_it_is_a_mean_over_samples(name):
    logits, target, loss = outputs(), torch.arange(B) % K, build_loss(name)
    halves = [loss(logits[:, part], target[part]) for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(sum(halves) / 2, loss(logits, target))


@every_loss
def test_what_does_not_fit_gets_a_sentence(name):
    with pytest.raises(ValueError, match=r"A loss takes logits \[T, B, K\], but got \[6, 5\]"):
        build_loss(name)(outputs()[0], torch.arange(B) % K)
    with pytest.raises(
        ValueError, match=r"need integer labels \[6\] or soft targets \[6, 5\], but the target is \[5\]"
    ):
        build_loss(name)(outputs(), torch.arange(K))
