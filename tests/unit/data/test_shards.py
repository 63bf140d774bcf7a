"""Large pictures from files and from tar shards: the same samples, cropped as torchvision crops them."""

from __future__ import annotations

import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from saccade.data import DataRequest, load_data, make_loader, write_classes, write_shards
from saccade.data.pictures import Pictures, random_box


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """The same twelve smooth pictures as a folder and as shards of five."""
    base = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2)):
        for name in ("a", "b"):
            folder = base / "folder" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                coarse = Image.fromarray(draw.integers(256, size=(5, 6, 3), dtype=np.uint8))
                coarse.resize((150 + 40 * i, 130), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=95)
        samples = [(path, "ab".index(path.parent.name)) for path in sorted((base / "folder" / part).rglob("*.jpg"))]
        written = write_shards(samples, base / "shards" / part, per_shard=5)
        assert len(written) == -(-len(samples) // 5)
    write_classes(base / "shards", ["a", "b"])
    return base / "folder", base / "shards"


def splits(root, name, **options):
    return load_data(DataRequest(name, root=root, size=32, **options))


def test_shards_hold_what_the_folder_holds(roots):
    folder, shards = (splits(root, name) for root, name in zip(roots, ("folder", "shards"), strict=True))
    assert folder.info.class_names == shards.info.class_names == ("a", "b")
    for part in ("train", "test"):
        one, other = getattr(folder, part), getattr(shards, part)
        assert len(one) == len(other)
        for i in range(len(one)):
            torch.manual_seed(i)
            x, label = one[i]
            torch.manual_seed(i)
            y, same = other[i]
            assert torch.equal(x, y)
            assert label == same
            assert x.shape == (3, 32, 32)


def test_batches_are_of_numbers_and_channels_last(roots):
    shards = splits(roots[1], "shards", augment="none")
    ((x, labels),) = make_loader(shards.train, batch_size=8, train=True, temporal=False)
    assert (x.shape, x.dtype) == ((8, 3, 32, 32), torch.float32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    alone = {shards.train[i][0].sum().item() for i in range(8)}
    assert all(min(abs(sample.sum().item() - other) for other in alone) < 1e-2 for sample in x)
    assert sorted(labels.tolist()) == [0] * 4 + [1] * 4


def test_the_centre_is_torchvisions(roots):
    shards = splits(roots[1], "shards")
    with shards.test.source.open(1) as image:
        plain = v2.Compose([v2.Resize(round(32 / 0.875)), v2.CenterCrop(32), v2.PILToTensor()])
        expected = plain(image.convert("RGB"))
    raw, _ = shards.test.raw(1)
    assert torch.equal(raw.permute(2, 0, 1), expected)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    torch.testing.assert_close(shards.test[1][0], (expected / 255 - mean) / std, atol=1e-5, rtol=1e-4)


def test_a_crop_shows_what_torchvisions_shows(roots, monkeypatch):
    """The same box, resized after decoding in full: a smooth picture differs little."""
    train = splits(roots[0], "folder").train
    for box in ((3, 5, 40, 36), (0, 0, 150, 130), (10, 8, 100, 110)):
        monkeypatch.setattr("saccade.data.pictures.random_box", lambda *_, box=box: box)
        raw, _ = train.raw(0)
        with train.source.open(0) as image:
            left, top, width, height = box
            whole = image.convert("RGB")
            expected = np.asarray(v2.functional.resized_crop(whole, top, left, height, width, [32, 32]))
        found = raw.numpy().astype(int)
        assert min(np.abs(found - expected).mean(), np.abs(found[:, ::-1] - expected).mean()) < 2


def test_crops_are_spread_as_torchvisions():
    torch.manual_seed(0)
    boxes = np.array([random_box(300, 200) for _ in range(2000)])
    left, top, width, height = boxes.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width <= 300).all()
    assert (top + height <= 200).all()
    theirs = [v2.RandomResizedCrop(1).make_params([torch.zeros(1, 200, 300)]) for _ in range(2000)]
    area = np.array([p["height"] * p["width"] for p in theirs]) / 60000
    assert abs((width * height / 60000).mean() - area.mean()) < 0.03
    assert random_box(300, 1)[2:] == (1, 1)  # nothing fits: the centre


def test_workers_can_be_handed_shards_that_are_open(roots):
    train = splits(roots[1], "shards", augment="none").train
    before = train[0][0]
    assert torch.equal(pickle.loads(pickle.dumps(train))[0][0], before)


def test_the_index_follows_the_shards(roots, tmp_path):
    root = tmp_path / "shards"
    samples = [(path, 0) for path in sorted(roots[0].rglob("*.jpg"))]
    for part in ("train", "test"):
        write_shards(samples[:3], root / part)
    assert len(splits(root, "shards").train) == 3
    write_shards(samples[:4], root / "train")
    assert len(splits(root, "shards").train) == 4
    (root / "train" / "index.npz").write_bytes(b"damaged")
    assert len(splits(root, "shards").train) == 4


def test_shards_that_make_no_sense(roots, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no train folder"):
        splits(tmp_path, "shards")
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    with pytest.raises(FileNotFoundError, match="holds no shards"):
        splits(tmp_path, "shards")
    picture = next(iter(roots[0].rglob("*.jpg")))
    for part in ("train", "test"):
        with tarfile.open(tmp_path / part / "0.tar", "w") as tar:
            tar.add(picture, "x.jpg")
    with pytest.raises(ValueError, match=r"but x has not both"):
        splits(tmp_path, "shards")
    for part in ("train", "test"):
        (tmp_path / part / "0.tar").write_bytes(b"no tar file")
    with pytest.raises(ValueError, match="Cannot read the shard"):
        splits(tmp_path, "shards")


def test_a_broken_picture_is_named(roots, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(next(iter(roots[0].rglob("*.jpg"))).read_bytes()[:300])
    for part in ("train", "test"):
        write_shards([(broken, 0)], tmp_path / "s" / part)
    part = splits(tmp_path / "s", "shards").test
    assert isinstance(part, Pictures)
    with pytest.raises(ValueError, match=r"Cannot read the image at byte 512 of .*00000\.tar"):
        part[0]
