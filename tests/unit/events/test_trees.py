"""Each set in its official layout and containers, through prepare, check, and one training step."""

from __future__ import annotations

import event_files as files
import numpy as np
import pytest
import torch

from saccade.data import DataRequest, load_data, make_loader
from saccade.data.events import EVENT_SETS, FrameSpec, make_plan, prepare
from saccade.data.events.check import check_set

SIZES = {"nmnist": (34, 34), "cifar10-dvs": (128, 128), "dvs128-gesture": (128, 128), "n-caltech101": (180, 240)}


@pytest.mark.parametrize("name", files.TREES)
def test_prepare_and_check(name, tmp_path):
    files.TREES[name](tmp_path)
    store = prepare(make_plan(EVENT_SETS[name], tmp_path, FrameSpec(4)))
    assert store.shape == (4, 2, *SIZES[name])
    assert store.share_used == 1
    assert sum(int(part.sum()) for part in store.parts) == sum(store.column("total"))
    report = check_set(EVENT_SETS[name], tmp_path)
    assert report.sound, report.findings
    assert report.events == sum(store.column("total"))
    assert sum(report.recordings.values()) == len(store)


@pytest.mark.parametrize("name", files.TREES)
def test_one_training_step(name, tmp_path):
    pytest.importorskip("lightning")
    from saccade.train.config import Experiment
    from saccade.train.run import train

    files.TREES[name](tmp_path / "data")
    experiment = Experiment(
        recipe="test",
        model="msresnet18",
        attention="tcja",
        width=0.0625,
        steps=4,
        data=name,
        data_root=str(tmp_path / "data"),
        image_size=16,
        batch_size=4,
        epochs=1,
        max_batches=1,
        lr=0.01,
        device="cpu",
    )
    result = train(experiment, tmp_path / "run")
    assert 0 <= result["test_accuracy"] <= 1
    assert (tmp_path / "run/weights.safetensors").is_file()


def test_the_test_part_is_never_augmented(tmp_path):
    files.cifar10dvs_tree(tmp_path)
    splits = {
        augment: load_data(DataRequest("cifar10-dvs", tmp_path, steps=3, augment=augment, validation=0.25))
        for augment in ("none", "standard")
    }
    assert splits["standard"].train.augment is not None
    for part, changed in (("train", True), ("validation", False), ("test", False)):
        plain, augmented = (
            torch.cat(
                [x for x, _ in make_loader(getattr(splits[a], part), batch_size=5, train=False, temporal=True)], 1
            )
            for a in ("none", "standard")
        )
        assert torch.equal(plain, augmented) != changed
        recorded = splits["none"]
        rows = getattr(recorded, part).rows
        expected = np.stack([getattr(recorded, part).store.clip(row) for row in rows], 1)
        assert (plain.numpy() == expected).all()


def test_validation_is_taken_from_the_training_part_alone(tmp_path):
    files.gesture_tree(tmp_path)
    whole = load_data(DataRequest("dvs128-gesture", tmp_path, steps=2))
    cut = load_data(DataRequest("dvs128-gesture", tmp_path, steps=2, validation=0.3))
    assert whole.validation is None
    groups = cut.test.store.column("group")
    people = [{groups[row] for row in part.rows} for part in (cut.train, cut.validation, cut.test)]
    assert people == [{"user01", "user02"}, {"user23"}, {"user24"}]
    assert sorted(cut.train.rows + cut.validation.rows) == whole.train.rows
    with pytest.raises(ValueError, match="3 people are too few"):
        load_data(DataRequest("dvs128-gesture", tmp_path, steps=2, validation=0.9))


def test_counts_past_255_survive_the_way_into_memory(tmp_path):
    files.nmnist_tree(tmp_path)
    first = next(iter(sorted((tmp_path / "NMNIST/Train/0").iterdir())))
    first.write_bytes(files.atis([(t, 3, 4, 1) for t in range(600)]))
    train = load_data(DataRequest("nmnist", tmp_path, steps=2, augment="none")).train
    assert train[0][0][:, 1, 4, 3].tolist() == [300, 300]


def test_size_bins_the_coordinates(tmp_path):
    files.cifar10dvs_tree(tmp_path)
    splits = load_data(DataRequest("cifar10-dvs", tmp_path, steps=3, size=48, augment="none"))
    assert splits.info.size == (48, 48)
    x, _ = splits.train[0]
    assert x.shape == (3, 2, 48, 48)
    assert x.sum() == 300
    with pytest.raises(ValueError, match="larger than the sensor"):
        load_data(DataRequest("cifar10-dvs", tmp_path, steps=3, size=129))


def test_the_set_says_what_it_is(tmp_path):
    files.caltech_tree(tmp_path)
    info = load_data(DataRequest("n-caltech101", tmp_path, steps=2)).info
    assert (info.num_classes, info.in_channels, info.size, info.temporal) == (3, 2, (180, 240), True)
    assert info.note.startswith("30 training and 3 test recordings, split ")
    assert info.note.endswith("100.00% of the events used")
