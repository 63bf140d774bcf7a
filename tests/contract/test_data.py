"""What every registered data set must do, held by those that need no files."""

from __future__ import annotations

import pytest
import torch

from saccade.data import CATALOG, DataRequest, list_data, load_data, make_loader
from saccade.data.catalog import DataSplits

BUILT_IN = [name for name in list_data() if not CATALOG[name].folders]
every_set = pytest.mark.parametrize("name", BUILT_IN)
STEPS = 3


@pytest.fixture(scope="module")
def loaded() -> dict[str, DataSplits]:
    return {name: load_data(DataRequest(name, steps=STEPS)) for name in BUILT_IN}


def parts(splits: DataSplits) -> list:
    return [part for part in (splits.train, splits.test, splits.validation) if part is not None]


@every_set
def test_samples_are_what_the_set_says(name, loaded):
    info = loaded[name].info
    frame = (info.in_channels, *info.size)
    assert info.name == name
    assert len(info.class_names) == info.num_classes
    for part in parts(loaded[name]):
        for i in range(0, len(part), max(1, len(part) // 5)):
            x, label = part[i]
            assert x.dtype == torch.float32
            assert x.shape == ((STEPS, *frame) if info.temporal else frame)
            assert x.isfinite().all()
            assert 0 <= int(label) < info.num_classes


@every_set
def test_every_class_is_in_every_part(name, loaded):
    for part in parts(loaded[name]):
        found = {int(part[i][1]) for i in range(len(part))}
        assert found == set(range(loaded[name].info.num_classes))


@every_set
def test_the_test_part_is_the_same_every_time(name, loaded):
    again = load_data(DataRequest(name, steps=STEPS, augment="none")).test
    assert len(again) == len(loaded[name].test)
    for i in range(0, len(again), max(1, len(again) // 5)):
        assert torch.equal(loaded[name].test[i][0], again[i][0])
        assert torch.equal(loaded[name].test[i][0], loaded[name].test[i][0])


@every_set
def test_no_test_sample_is_trained_on(name):
    splits = load_data(DataRequest(name, steps=STEPS, augment="none"))
    trained = {splits.train[i][0].numpy().tobytes() for i in range(len(splits.train))}
    assert not any(splits.test[i][0].numpy().tobytes() in trained for i in range(len(splits.test)))


@every_set
def test_batches_have_time_first(name, loaded):
    info = loaded[name].info
    x, labels = next(iter(make_loader(loaded[name].train, batch_size=2, train=True, temporal=info.temporal)))
    assert x.shape == ((STEPS, 2, info.in_channels, *info.size) if info.temporal else (2, info.in_channels, *info.size))
    assert labels.shape == (2,)
