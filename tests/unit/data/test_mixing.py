"""mixup and CutMix: the targets say what the pixels say."""

import pytest
import torch

from saccade.data import mix_batch

LABELS = torch.tensor([3, 0, 2, 1, 4, 5])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def marked(shape=(6, 2, 8, 10)):
    """A batch whose sample b is b everywhere, so that every pixel names its origin; its labels are all different."""
    return torch.arange(6.0, dtype=torch.float64).view(-1, 1, 1, 1).expand(shape).contiguous()


@pytest.mark.parametrize("seed", range(5))
def test_mixup_mixes_pixels_and_targets_alike(seed):
    x = marked()
    mixed, targets = mix_batch(x, LABELS, 6, "mixup", generator=generator(seed))
    origin_of_label = torch.argsort(LABELS).double()  # class k is sample origin_of_label[k]
    assert torch.allclose(mixed, (targets @ origin_of_label).view(-1, 1, 1, 1).expand_as(x))
    assert torch.allclose(targets.sum(1), torch.ones(6, dtype=torch.float64))
    assert not torch.equal(mixed, x)


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_targets_are_shares_of_the_area(seed):
    mixed, targets = mix_batch(marked(), LABELS, 6, "cutmix", generator=generator(seed))
    for b in range(6):
        for c in range(6):
            share = (mixed[b] == c).double().mean()
            assert torch.isclose(share, targets[b, LABELS[c]])


def test_cutmix_takes_one_box_from_the_partner():
    mixed, _ = mix_batch(marked(), LABELS, 6, "cutmix", generator=generator(1))
    foreign = mixed != marked()
    moved = foreign.flatten(1).any(1)
    assert moved.any()
    box = foreign[moved][0, 0]
    assert all(torch.equal(f, box.expand(2, -1, -1)) for f in foreign[moved])
    rows, columns = box.any(1), box.any(0)
    assert torch.equal(box, rows[:, None] & columns[None])
    for line in (rows, columns):
        where = line.nonzero()[:, 0]
        assert len(where) == where[-1] - where[0] + 1  # without gaps


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_all_steps_of_a_sequence_are_mixed_alike(kind):
    x_BCHW = torch.rand(6, 2, 8, 8, generator=generator(9))
    still, still_targets = mix_batch(x_BCHW, LABELS, 6, kind, generator=generator())
    x_TBCHW = x_BCHW.expand(4, -1, -1, -1, -1)
    moving, targets = mix_batch(x_TBCHW, LABELS, 6, kind, batch_dim=1, generator=generator())
    assert torch.equal(targets, still_targets)
    for step in moving:
        assert torch.equal(step, still)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_is_reproducible_from_a_generator_or_from_the_global_seed(kind):
    x = torch.rand(6, 1, 8, 8)
    first = mix_batch(x, LABELS, 6, kind, generator=generator(4))
    again = mix_batch(x, LABELS, 6, kind, generator=generator(4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    torch.manual_seed(5)
    first = mix_batch(x, LABELS, 6, kind)
    torch.manual_seed(5)
    again = mix_batch(x, LABELS, 6, kind)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_coin_is_drawn_for_every_batch():
    x = torch.rand(6, 1, 4, 4)
    common = generator()
    mixed = [mix_batch(x, LABELS, 6, "mixup", probability=0.5, generator=common)[0] is not x for _ in range(200)]
    assert 70 < sum(mixed) < 130


def test_unmixed_batches_come_back_with_one_hot_targets():
    x = torch.rand(6, 1, 4, 4)
    for kind, probability in (("none", 1.0), ("cutmix", 0.0)):
        same, targets = mix_batch(x, LABELS, 6, kind, probability=probability)
        assert same is x
        assert torch.equal(targets, torch.nn.functional.one_hot(LABELS, 6).float())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "blend"}, "'cutmix', not 'blend'"),
        ({"alpha": 0.0}, "alpha > 0"),
        ({"probability": 1.5}, "from 0 to 1"),
        ({"batch_dim": 1}, r"batch_dim=1"),
    ],
)
def test_says_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        mix_batch(torch.rand(6, 1, 4, 4), LABELS, 6, **options)
