"""Augmentation: one draw for all of a sample, pixels moved and never blended, the same from the same generator."""

from __future__ import annotations

import pytest
import torch

from saccade.data import DataRequest, load_data
from saccade.data.augment import (
    POLICIES,
    Cutout,
    Keep,
    PerSample,
    Roll,
    Rotate,
    Shear,
    Translate,
    find_policy,
    list_policies,
    register_policy,
)

T, B, H, W = 5, 6, 20, 16
OPERATIONS = [Roll(0.2), Translate(0.2), Rotate(40.0), Shear(25.0), Cutout(0.1, 0.3)]


def still_batch(dtype=torch.float32):
    """Clips whose frames are all the same picture, so that the same draw for all T leaves them the same."""
    picture = torch.randint(1, 9, (B, 1, 2, H, W), generator=torch.Generator().manual_seed(0))
    return picture.expand(-1, T, -1, -1, -1).to(dtype)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_every_operation_moves_all_frames_alike_and_clips_differently(operation, dtype):
    x = still_batch(dtype)
    y = PerSample(always=(operation,))(x, torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert set(y.unique().tolist()) <= set(range(9))  # nothing is blended
    changed = [not torch.equal(y[b], x[b]) for b in range(B)]
    assert any(changed)
    shifts = {tuple((y[b, 0, 0] == 0).flatten().tolist()) for b in range(B)}
    assert len(shifts) > 1 or isinstance(operation, Roll)


def test_roll_keeps_every_event_and_translate_drops_what_leaves():
    x = still_batch()
    rolled = PerSample(always=(Roll(0.3),))(x, torch.Generator().manual_seed(2))
    assert torch.equal(rolled.sum((2, 3, 4)), x.sum((2, 3, 4)))
    for seed in range(20):
        moved = Translate(0.2)(x[0], torch.Generator().manual_seed(seed))
        draws = torch.Generator().manual_seed(seed)
        down = int(torch.randint(-4, 5, (), generator=draws))
        right = int(torch.randint(-3, 4, (), generator=draws))
        expected = torch.zeros_like(moved)
        expected[..., max(0, down) : H + min(0, down), max(0, right) : W + min(0, right)] = x[
            0, ..., max(0, -down) : H + min(0, -down), max(0, -right) : W + min(0, -right)
        ]
        assert torch.equal(moved, expected)


def test_cutout_zeroes_one_rectangle_of_the_area_asked_for():
    x = still_batch()
    for seed in range(30):
        y = Cutout(0.1, 0.3)(x[0], torch.Generator().manual_seed(seed))
        gone = y[0, 0] == 0
        rows, columns = gone.any(1).nonzero()[:, 0], gone.any(0).nonzero()[:, 0]
        assert gone.sum() == len(rows) * len(columns)
        assert 0.05 < gone.float().mean() < 0.4
        assert torch.equal(y[:, :, ~gone], x[0][:, :, ~gone])


def test_mirror_turns_about_half_of_the_clips():
    x = torch.randint(0, 9, (400, 2, 2, 3, 3)).float()
    y = PerSample(mirror=0.5)(x, torch.Generator().manual_seed(0))
    turned = [torch.equal(y[b], x[b].flip(-1)) for b in range(400)]
    kept = [torch.equal(y[b], x[b]) for b in range(400)]
    assert all(a or b for a, b in zip(turned, kept, strict=True))
    assert 150 < sum(turned) < 250


def test_one_of_picks_each_about_equally_often():
    marks = [lambda clip, _, k=k: clip + k for k in range(4)]
    y = PerSample(one_of=tuple(marks))(torch.zeros(400, 1, 1, 1), torch.Generator().manual_seed(0))
    assert all(70 < count < 130 for count in torch.bincount(y.long().flatten(), minlength=4).tolist())


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("shape", [(16, T, 2, 48, 48), (16, 3, 32, 32)], ids=["clips", "images"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_every_policy_takes_images_and_clips_and_depends_on_the_seed_alone(name, shape, dtype):
    x = torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    batches = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        batches.append(POLICIES[name].augment(x))
    assert batches[0].shape == x.shape
    assert batches[0].dtype == dtype
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


def test_a_generator_of_ones_own():
    x = still_batch()
    policy = POLICIES["dta"].augment
    torch.manual_seed(3)
    from_global = policy(x)
    assert torch.equal(policy(x, torch.Generator().manual_seed(3)), from_global)


def test_the_batch_that_comes_in_is_left_as_it_is():
    x = still_batch().clone()
    before = x.clone()
    for operation in (*OPERATIONS, Keep()):
        PerSample(0.5, always=(operation,))(x, torch.Generator().manual_seed(1))
    assert torch.equal(x, before)


def test_left_and_right_are_not_exchanged_where_they_mean_something():
    x = torch.zeros(300, 1, 2, 34, 34)
    x[..., 12:20, 2:6] = 1
    for name in ("digits", "gestures", "shift1", "shift2", "shift4"):
        assert (POLICIES[name].augment(x)[..., 24:] == 0).all(), name
    for name in ("dta", "tcja", "pictures", "shift4-mirror", "mirror"):
        assert (POLICIES[name].augment(x)[..., 24:] != 0).any(), name


def test_dta_released_six_operations_each_as_likely():
    """Where a corner of the mirror image shows what was done: 1/6 keeps, 2/6 shift along one axis, 1/6 cut a square."""
    x = torch.ones(1200, 1, 1, 48, 48)
    torch.manual_seed(0)
    y = POLICIES["dta"].augment(x)[:, 0, 0] == 0
    gone_rows, gone_columns = y.all(2).sum(1), y.all(1).sum(1)  # lines that are wholly gone: a shift
    across, down = (gone_columns > 0) & (gone_rows == 0), (gone_rows > 0) & (gone_columns == 0)
    assert not ((gone_rows > 0) & (gone_columns > 0)).any()  # never both
    assert gone_rows.max() == gone_columns.max() == 5
    for shifted in (across, down):
        assert 120 < int(shifted.sum()) < 240  # 200 * 10 / 11 expected: a shift by 0 is none
    untouched = (y.sum((1, 2)) == 0).sum()
    assert 180 < int(untouched) < 300  # 200 kept, and 36 shifted by 0; some hardly sheared


def test_dta_cuts_out_squares():
    cut = next(o for o in POLICIES["dta"].augment.one_of if isinstance(o, Cutout))
    for seed in range(30):
        gone = cut(torch.ones(1, 48, 48), torch.Generator().manual_seed(seed))[0] == 0
        assert gone.any(1).sum() == gone.any(0).sum() == round(float(gone.sum()) ** 0.5)
        assert gone.float().mean() < 0.13


@pytest.mark.parametrize(("side", "reach"), [(128, 5), (48, 2)])
def test_tcja_rolls_by_up_to_5_of_128_pixels(side, reach):
    x = torch.zeros(400, 1, 1, side, side)
    x[..., side // 2, side // 2] = 1
    torch.manual_seed(0)
    at = POLICIES["tcja"].augment(x)[:, 0, 0].nonzero()[:, 1:]
    assert int(at[:, 0].min()) == side // 2 - reach
    assert int(at[:, 0].max()) == side // 2 + reach


def test_a_single_sample_is_refused():
    with pytest.raises(ValueError, match=r"batches, \[B, ..., C, H, W\]"):
        POLICIES["pictures"].augment(torch.zeros(2, 8, 8))


def test_policies_are_chosen_by_name():
    assert find_policy("none", standard="dta") is None
    assert find_policy("standard", standard="dta") is POLICIES["dta"].augment
    assert find_policy("tcja", standard="dta") is POLICIES["tcja"].augment
    assert load_data(DataRequest("digits", augment="tcja")).train.augment is POLICIES["tcja"].augment
    assert load_data(DataRequest("digits")).train.augment is POLICIES["shift1"].augment
    assert list_policies()[:2] == ["standard", "none"]
    for wrong in ("no", "DTA", True, None):
        with pytest.raises(ValueError, match="Unknown augmentation policy"):
            load_data(DataRequest("digits", augment=wrong))


@pytest.mark.parametrize("name", ["dta", "standard", "none"])
def test_a_name_is_given_once(name):
    with pytest.raises(ValueError, match="already"):
        register_policy(name, "another", Keep())
