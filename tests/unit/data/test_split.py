"""The fixed split: by class, in file order, without any draw."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.data import split_every, split_last, spread


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=80).map(lambda xs: xs + list(range(5)) * 4),
    share=st.floats(0.01, 0.6),
)
def test_parts_are_disjoint_complete_and_stratified(labels, share):
    labels = torch.tensor(labels)
    kept, aside = split_last(labels, share)
    assert torch.equal(torch.cat([kept, aside]).sort().values, torch.arange(len(labels)))
    for label in range(5):
        count = int((labels == label).sum())
        assert int((labels[aside] == label).sum()) == max(1, round(count * share))


def test_sets_the_last_of_each_class_aside():
    kept, aside = split_last(torch.tensor([0, 0, 1, 0, 1, 0, 1, 1]), 0.5)
    assert kept.tolist() == [0, 1, 2, 4]
    assert aside.tolist() == [3, 5, 6, 7]


def test_zero_sets_nothing_aside():
    kept, aside = split_last(torch.tensor([1, 0, 1]), 0)
    assert kept.tolist() == [0, 1, 2]
    assert len(aside) == 0


def test_a_class_must_be_in_both_parts():
    with pytest.raises(ValueError, match="Class 1 has 1 samples"):
        split_last(torch.tensor([0, 0, 0, 1]), 0.3)


def test_every_third_of_each_class_is_set_aside():
    kept, aside = split_every(torch.tensor([0, 0, 1, 0, 1, 0, 1, 1]), 3)
    assert aside.tolist() == [3, 6]
    assert kept.tolist() == [0, 1, 2, 4, 5, 7]
    with pytest.raises(ValueError, match="Class 1 has 1 samples, too few to set every 3th aside"):
        split_every(torch.tensor([0, 0, 0, 1]), 3)
    with pytest.raises(ValueError, match="n of 2 or more, not 1"):
        split_every(torch.tensor([0, 0]), 1)


@pytest.mark.parametrize("in_turn", [False, True], ids=["class after class", "classes in turn"])
def test_a_part_of_a_whole_has_every_class(in_turn):
    labels = torch.arange(1000) % 10
    labels = labels if in_turn else labels.sort().values
    indices = spread(1000, 100)
    assert torch.equal(indices, spread(1000, 100))
    assert (indices.diff() > 0).all()
    assert indices.min() >= 0
    assert indices.max() < 1000
    assert torch.bincount(labels[indices], minlength=10).min() >= 3
    assert torch.equal(spread(7, 7), torch.arange(7))
