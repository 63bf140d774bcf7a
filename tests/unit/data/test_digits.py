"""The built-in event-camera digits."""

import itertools

import pytest
import torch

from saccade.data import DataRequest, load_data
from saccade.data.camera import OFF, ON


@pytest.fixture(scope="module")
def digits():
    return load_data(DataRequest("digits", steps=6, validation=0.1))


def test_says_what_it_is(digits):
    assert digits.info.temporal
    assert (digits.info.num_classes, digits.info.in_channels, digits.info.size) == (10, 2, (16, 16))
    x, label = digits.test[0]
    assert x.shape == (6, 2, 16, 16)
    assert x.dtype == torch.float32
    assert isinstance(label, int)


def test_parts_are_whole_and_stratified(digits):
    full = load_data(DataRequest("digits", steps=6, augment="none"))
    assert len(full.train) + len(full.test) == 1797
    assert len(digits.train) + len(digits.validation) == len(full.train)
    everyone = torch.bincount(torch.cat([full.train.labels, full.test.labels]))
    assert torch.equal(torch.bincount(full.test.labels), everyone // 5)
    assert torch.bincount(digits.validation.labels).min() >= 14


def test_no_sample_is_in_two_parts(digits):
    parts = [{s.numpy().tobytes() for s in part.samples} for part in (digits.train, digits.validation, digits.test)]
    for one, other in itertools.combinations(parts, 2):
        assert not one & other


def test_test_and_validation_parts_are_never_augmented(digits):
    for part in (digits.test, digits.validation):
        first, _ = part.fetch(torch.arange(50))
        second, _ = part.fetch(torch.arange(50))
        assert torch.equal(first, second)
    first, _ = digits.train.fetch(torch.arange(50))
    second, _ = digits.train.fetch(torch.arange(50))
    assert not torch.equal(first, second)


def test_every_frame_tells_something_else(digits):
    x_NTPHW = digits.test.samples.float()
    for a, b in itertools.combinations(range(6), 2):
        difference = (x_NTPHW[:, a] - x_NTPHW[:, b]).abs().mean()
        assert difference > 0.5 * x_NTPHW.mean(), f"frames {a} and {b} are alike"


def centre(counts_HW):
    """Mean (down, right) position of events."""
    grid = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij"))
    return (grid * counts_HW).sum((1, 2)) / counts_HW.sum()


def test_events_follow_the_direction_of_each_saccade():
    """A bright digit brightens what lies ahead of it: ON is ahead of OFF, and turns round when the eye does."""
    counts_TPHW = load_data(DataRequest("digits", steps=3)).test.samples.float().sum(0)
    ahead = [centre(frame[ON]) - centre(frame[OFF]) for frame in counts_TPHW]
    down, right = torch.stack(ahead).T.tolist()
    assert down[0] > 0.1 > -0.1 > down[1]  # down, then up
    assert right[0] > 0.1  # twice to the right, then back to the left
    assert right[1] > 0.1
    assert right[2] < -0.1


@pytest.mark.parametrize(("steps", "size"), [(1, 16), (5, 20), (64, 16)])
def test_takes_any_number_of_steps_and_size(steps, size):
    splits = load_data(DataRequest("digits", steps=steps, size=size))
    x, _ = splits.test[0]
    assert x.shape == (steps, 2, size, size)
    assert splits.info.size == (size, size)


def test_says_what_it_cannot_do():
    with pytest.raises(ValueError, match="8 pixels"):
        load_data(DataRequest("digits", size=4))
    with pytest.raises(ValueError, match="holds sequences"):
        load_data(DataRequest("digits", symmetric=True))
