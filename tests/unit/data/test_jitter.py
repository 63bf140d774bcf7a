"""Shift and mirror of whole batches: every sample its own draw."""

import itertools

import torch
from torch.nn import functional as F

from saccade.data.augment import Jitter


def candidates(picture, shift, mirror):
    """All results that one [C, H, W] picture can have, by (down, right, mirrored)."""
    height, width = picture.shape[-2:]
    padded = F.pad(picture, (shift,) * 4)
    results = {}
    for top, left in itertools.product(range(2 * shift + 1), repeat=2):
        crop = padded[..., top : top + height, left : left + width]
        results[shift - top, shift - left, False] = crop
        if mirror:
            results[shift - top, shift - left, True] = crop.flip(-1)
    return results


def test_every_result_is_one_of_the_possible_ones_and_all_occur():
    torch.manual_seed(0)
    picture = torch.randint(1, 256, (3, 6, 7), dtype=torch.uint8)
    possible = candidates(picture, 1, mirror=True)
    out = Jitter(1, mirror=True)(picture.expand(600, -1, -1, -1))
    seen = [key for x in out for key, y in possible.items() if torch.equal(x, y)]
    assert len(seen) == 600
    assert set(seen) == set(possible)


def test_without_mirror_nothing_is_turned_round():
    torch.manual_seed(0)
    picture = torch.randint(1, 256, (1, 6, 7), dtype=torch.uint8)
    possible = candidates(picture, 2, mirror=False).values()
    for x in Jitter(2, mirror=False)(picture.expand(50, -1, -1, -1)):
        assert any(torch.equal(x, y) for y in possible)


def test_all_steps_of_a_sequence_move_together():
    torch.manual_seed(0)
    frames_TCHW = torch.randint(1, 256, (4, 2, 6, 6), dtype=torch.uint8)
    for x_TCHW in Jitter(2, mirror=True)(frames_TCHW.expand(20, -1, -1, -1, -1)):
        possible = candidates(frames_TCHW, 2, mirror=True).values()
        assert any(torch.equal(x_TCHW, y) for y in possible)


def test_is_a_function_of_the_global_generator():
    x = torch.rand(8, 1, 5, 5)
    torch.manual_seed(3)
    first = Jitter(1, mirror=True)(x)
    torch.manual_seed(3)
    assert torch.equal(Jitter(1, mirror=True)(x), first)
