"""Augmentation: one draw for all T, pixels moved and never blended, the same from the same generator."""

from __future__ import annotations

import pytest
import torch

from saccade.data.events.augment import (
    POLICIES,
    ClipAugment,
    Cutout,
    Keep,
    Roll,
    Rotate,
    Shear,
    Translate,
)

T, B, H, W = 5, 6, 20, 16
OPERATIONS = [Roll(0.2), Translate(0.2), Rotate(40.0), Shear(25.0), Cutout(0.1, 0.3)]


def still_batch(dtype=torch.float32):
    """Clips whose frames are all the same picture, so that the same draw for all T leaves them the same."""
    picture = torch.randint(1, 9, (1, B, 2, H, W), generator=torch.Generator().manual_seed(0))
    return picture.expand(T, -1, -1, -1, -1).to(dtype)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_every_operation_moves_all_frames_alike_and_clips_differently(operation, dtype):
    x = still_batch(dtype)
    y = ClipAugment(always=(operation,))(x, torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert torch.equal(y, y[:1].expand_as(y))
    assert set(y.unique().tolist()) <= set(range(9))  # nothing is blended
    changed = [not torch.equal(y[:, b], x[:, b]) for b in range(B)]
    assert any(changed)
    shifts = {tuple((y[0, b, 0] == 0).flatten().tolist()) for b in range(B)}
    assert len(shifts) > 1 or isinstance(operation, Roll)


def test_roll_keeps_every_event_and_translate_drops_what_leaves():
    x = still_batch()
    rolled = ClipAugment(always=(Roll(0.3),))(x, torch.Generator().manual_seed(2))
    assert torch.equal(rolled.sum((2, 3, 4)), x.sum((2, 3, 4)))
    for seed in range(20):
        moved = Translate(0.2)(x[:, 0], torch.Generator().manual_seed(seed))
        draws = torch.Generator().manual_seed(seed)
        down = int(torch.randint(-4, 5, (), generator=draws))
        right = int(torch.randint(-3, 4, (), generator=draws))
        expected = torch.zeros_like(moved)
        expected[..., max(0, down) : H + min(0, down), max(0, right) : W + min(0, right)] = x[
            :, 0, :, max(0, -down) : H + min(0, -down), max(0, -right) : W + min(0, -right)
        ]
        assert torch.equal(moved, expected)


def test_cutout_zeroes_one_rectangle_of_the_area_asked_for():
    x = still_batch()
    for seed in range(30):
        y = Cutout(0.1, 0.3)(x[:, 0], torch.Generator().manual_seed(seed))
        gone = y[0, 0] == 0
        rows, columns = gone.any(1).nonzero()[:, 0], gone.any(0).nonzero()[:, 0]
        assert gone.sum() == len(rows) * len(columns)
        assert 0.05 < gone.float().mean() < 0.4
        assert torch.equal(y[:, :, ~gone], x[:, 0][:, :, ~gone])


def test_mirror_turns_about_half_of_the_clips():
    x = torch.randint(0, 9, (2, 400, 2, 3, 3)).float()
    y = ClipAugment(mirror=0.5)(x, torch.Generator().manual_seed(0))
    turned = [torch.equal(y[:, b], x[:, b].flip(-1)) for b in range(400)]
    kept = [torch.equal(y[:, b], x[:, b]) for b in range(400)]
    assert all(a or b for a, b in zip(turned, kept, strict=True))
    assert 150 < sum(turned) < 250


def test_one_of_picks_each_about_equally_often():
    marks = [lambda clip, _, k=k: clip + k for k in range(4)]
    y = ClipAugment(one_of=tuple(marks))(torch.zeros(1, 400, 1, 1, 1), torch.Generator().manual_seed(0))
    assert all(70 < count < 130 for count in torch.bincount(y.long().flatten(), minlength=4).tolist())


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_generator_gives_the_same_batch_and_another_seed_another(policy):
    x = torch.randint(0, 5, (T, 16, 2, 48, 48)).float()
    batches = [POLICIES[policy](x, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    state = torch.default_generator.get_state()
    torch.manual_seed(3)
    from_global = POLICIES[policy](x)
    torch.default_generator.set_state(state)
    assert torch.equal(from_global, batches[0])


def test_the_batch_that_comes_in_is_left_as_it_is():
    x = still_batch().clone()
    before = x.clone()
    for operation in (*OPERATIONS, Keep()):
        ClipAugment(0.5, always=(operation,))(x, torch.Generator().manual_seed(1))
    assert torch.equal(x, before)


def test_left_and_right_are_not_exchanged_where_they_mean_something():
    assert POLICIES["digits"].mirror == POLICIES["gestures"].mirror == 0


def test_a_single_clip_is_refused():
    with pytest.raises(ValueError, match=r"batches \[T, B, C, H, W\]"):
        POLICIES["pictures"](torch.zeros(4, 2, 8, 8))
