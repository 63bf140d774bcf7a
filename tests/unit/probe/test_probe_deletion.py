"""The deletion test on a network that looks at known pixels."""

import pytest
import torch
from torch import nn

from saccade.probe import deletion_test
from saccade.probe.deletion import _highest


@pytest.fixture
def looker(small):
    """Class 1 if the top row fires, class 0 else; the other rows are noise that it ignores."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    model = small(conv, 25, num_classes=2, steps=2, in_channels=1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        weight = torch.zeros(2, 5, 5)
        weight[1, 0] = 1.0
        model.head.weight.copy_(weight.flatten(1))
        model.head.bias.copy_(torch.tensor([0.5, 0.0]))
    return model


def test_the_top_fifth_matters_and_a_random_fifth_does_not(looker):
    x = torch.zeros(2, 6, 1, 5, 5, dtype=torch.float64)
    x[:, :, :, 0] = 2  # the row that decides; a map of spikes is highest there
    found = deletion_test(looker, [(x[:, :4], torch.ones(4).long()), (x[:, 4:], torch.ones(2).long())], "fire")
    assert (found.samples, found.layer, found.share) == (6, "fire", 0.2)
    assert found.intact == 1
    assert found.top == 0
    assert found.other == 0  # all samples look alike, so another's map is as good
    assert found.random > 0.9
    assert found.top_removes == 1
    assert found.random_removes == pytest.approx(0.2, abs=0.08)


def test_the_same_seed_gives_the_same_scores(looker):
    torch.manual_seed(0)
    batches = [(torch.rand(2, 8, 1, 5, 5, dtype=torch.float64) * 2, torch.randint(0, 2, (8,)))]
    assert deletion_test(looker, batches, seed=3) == deletion_test(looker, batches, seed=3)


def test_the_highest_places_and_ties_at_random():
    maps = torch.tensor([[[5.0, 1.0], [4.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]])
    chosen = [_highest(maps, 0.5, torch.Generator().manual_seed(seed)) for seed in range(20)]
    assert all(c[0].tolist() == [[True, False], [True, False]] for c in chosen)
    assert all(int(c[1].sum()) == 2 for c in chosen)
    assert len({str(c[1].tolist()) for c in chosen}) > 1


def test_mistakes_are_sentences(looker):
    with pytest.raises(ValueError, match="at least one batch"):
        deletion_test(looker, [])
    with pytest.raises(ValueError, match="share above 0"):
        deletion_test(looker, [], share=0)


def test_leaves_the_model_as_it_was(looker, untouched):
    x = torch.rand(2, 3, 1, 5, 5, dtype=torch.float64)
    untouched(looker, lambda: deletion_test(looker, [(x, torch.zeros(3).long())]))
