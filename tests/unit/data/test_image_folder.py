"""Image folders in ImageNet's layout, large and small."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import DataRequest, ImageTensors, load_data

RNG = np.random.default_rng(0)


def write_folder(root, parts=("train", "val"), classes=("cat", "dog"), count=6, size=(80, 70), suffix="png"):
    for part in parts:
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.{suffix}")
    return root


def test_large_images_are_read_from_disk(tmp_path):
    splits = load_data(DataRequest("folder", root=write_folder(tmp_path)))
    assert (splits.info.num_classes, splits.info.in_channels, splits.info.size) == (2, 3, (224, 224))
    assert splits.info.class_names == ("cat", "dog")
    x, label = splits.train[11]
    assert x.shape == (3, 224, 224)
    assert x.dtype == torch.float32
    assert label == 1
    assert torch.equal(splits.test[3][0], splits.test[3][0])
    assert not torch.equal(splits.train[3][0], splits.train[3][0])


def test_large_images_are_resized_then_cropped_for_testing(tmp_path):
    root = write_folder(tmp_path, size=(80, 80))
    x, _ = load_data(DataRequest("folder", root=root, size=70, symmetric=True)).test[0]
    with Image.open(root / "val" / "cat" / "0.png") as image:
        expected = torch.from_numpy(np.array(image)).permute(2, 0, 1)[:, 5:75, 5:75] / 127.5 - 1  # 70 / 0.875 = 80
    assert torch.allclose(x, expected, atol=1e-6)


def test_validation_of_large_images_is_disjoint_and_not_augmented(tmp_path):
    splits = load_data(DataRequest("folder", root=write_folder(tmp_path), size=32, validation=0.34))
    assert (len(splits.train), len(splits.validation)) == (8, 4)
    assert not set(splits.train.rows) & set(splits.validation.rows)
    assert torch.equal(splits.validation[0][0], splits.validation[0][0])


def test_small_images_are_kept_in_memory_at_their_own_size(tmp_path):
    root = write_folder(tmp_path, parts=("train", "test"), size=(12, 10))
    splits = load_data(DataRequest("folder", root=root, validation=0.34))
    assert splits.info.size == (10, 12)
    assert isinstance(splits.train, ImageTensors)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 4, 12)
    with Image.open(root / "test" / "dog" / "2.png") as image:
        expected = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    assert torch.equal(splits.test.samples[8], expected)
    assert splits.test.labels.tolist() == [0] * 6 + [1] * 6
    assert splits.test.augment is None
    assert splits.validation.augment is None


def test_a_size_brings_small_images_of_several_sizes_together(tmp_path):
    root = write_folder(tmp_path, size=(12, 10))
    Image.new("L", (9, 9), 128).save(root / "train" / "dog" / "odd.png")
    with pytest.raises(ValueError, match=r"odd\.png has \(9, 9\) pixels.*Give a size"):
        load_data(DataRequest("folder", root=root))
    splits = load_data(DataRequest("folder", root=root, size=16))
    assert splits.info.size == (16, 16)
    assert (splits.train.samples[-1] == 128).all()  # grey became colour


def test_small_images_asked_for_large_are_treated_as_large(tmp_path):
    splits = load_data(DataRequest("folder", root=write_folder(tmp_path, size=(12, 10)), size=80))
    assert splits.test[0][0].shape == (3, 80, 80)


def test_cifar10_as_jpeg_says_so(tmp_path):
    write_folder(tmp_path / "cifar10-jpeg", parts=("train", "test"), size=(32, 32), suffix="jpg")
    splits = load_data(DataRequest("cifar10-jpeg", root=tmp_path))
    assert splits.info.size == (32, 32)
    assert "not comparable with CIFAR-10's" in splits.info.note
    x, _ = splits.test.fetch(torch.arange(12))
    assert abs(float(x.mean())) < 0.5  # CIFAR-10's mean and deviation, near those of noise


@pytest.mark.parametrize("size", [(80, 70), (12, 10)])
@pytest.mark.parametrize("content", [b"", b"not an image", "half"])
def test_a_broken_image_is_named(tmp_path, size, content):
    broken = write_folder(tmp_path, size=size) / "val" / "dog" / "4.png"
    broken.write_bytes(broken.read_bytes()[:200] if content == "half" else content)
    with pytest.raises(ValueError, match=r"Cannot read the image .*dog.4\.png"):
        load_data(DataRequest("folder", root=tmp_path)).test[10]


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no train folder"):
        load_data(DataRequest("folder", root=tmp_path))
    write_folder(tmp_path, parts=("train",))
    with pytest.raises(FileNotFoundError, match=r"no val or test folder.*--data-root"):
        load_data(DataRequest("folder", root=tmp_path))


def test_parts_must_have_the_same_classes(tmp_path):
    write_folder(tmp_path, parts=("train",))
    write_folder(tmp_path, parts=("val",), classes=("cat", "cow"))
    with pytest.raises(ValueError, match="cow, dog"):
        load_data(DataRequest("folder", root=tmp_path))


def test_files_travel_to_other_processes(tmp_path):
    train = load_data(DataRequest("folder", root=write_folder(tmp_path), size=24, augment="none")).train
    assert torch.equal(pickle.loads(pickle.dumps(train))[2][0], train[2][0])
