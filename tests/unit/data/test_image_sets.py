"""MNIST and CIFAR from small files in their real formats; nothing is downloaded."""

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from saccade.cli import main
from saccade.data import DataRequest, cifar_binary, default_root, list_data, load_data, make_loader
from saccade.data.images import IMAGE_SETS, read_images

PARTS = {"train": 40, "t10k": 20}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def idx(array):
    """IDX, unsigned byte: magic number, big-endian sizes, data."""
    return np.array([0x0800 + array.ndim, *array.shape], dtype=">i4").tobytes() + array.tobytes()


def mnist_files():
    rng = np.random.default_rng(0)
    files = {}
    for part, count in PARTS.items():
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(count, dtype=np.uint8) % 10)
    return files


def write_mnist(root, name="MNIST"):
    (root / name / "raw").mkdir(parents=True)
    for file, content in mnist_files().items():
        (root / name / "raw" / file).write_bytes(content)
    return root


def write_cifar(root, reader, monkeypatch, classes, key, names):
    """The batches that `reader` lists, ten images each; its MD5 sums are replaced by theirs."""
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(file, content):
        (folder / file).write_bytes(pickle.dumps(content))
        return [file, hashlib.md5((folder / file).read_bytes()).hexdigest()]

    for attribute in ("train_list", "test_list"):
        entries = [
            write(
                file, {"data": rng.integers(0, 256, (40, 3072), dtype=np.uint8), key: [i % classes for i in range(40)]}
            )
            for file, _ in getattr(reader, attribute)
        ]
        monkeypatch.setattr(reader, attribute, entries)
    file, md5 = write(reader.meta["filename"], {names: [f"class {i}" for i in range(classes)]})
    monkeypatch.setattr(reader, "meta", {"filename": file, "key": names, "md5": md5})
    return root


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_reads_the_mnist_family(tmp_path, name, folder):
    splits = load_data(DataRequest(name, root=write_mnist(tmp_path, folder)))
    assert (splits.info.num_classes, splits.info.in_channels, splits.info.size) == (10, 1, (28, 28))
    assert not splits.info.temporal
    assert (len(splits.train), len(splits.test)) == (40, 20)
    x, label = splits.test[13]
    raw = np.frombuffer(mnist_files()["t10k-images-idx3-ubyte"][16:], np.uint8).reshape(20, 1, 28, 28)[13]
    image_set = IMAGE_SETS[name]
    expected = (torch.tensor(raw) / 255 - image_set.mean[0]) / image_set.std[0]
    assert torch.allclose(x, expected, atol=1e-6)
    assert label == 3


@pytest.mark.parametrize(
    ("name", "reader", "classes", "key", "names"),
    [
        ("cifar10", datasets.CIFAR10, 10, "labels", "label_names"),
        ("cifar100", datasets.CIFAR100, 20, "fine_labels", "fine_label_names"),
    ],
)
def test_reads_the_cifar_family(tmp_path, monkeypatch, name, reader, classes, key, names):
    splits = load_data(DataRequest(name, root=write_cifar(tmp_path, reader, monkeypatch, classes, key, names)))
    assert (splits.info.num_classes, splits.info.in_channels, splits.info.size) == (classes, 3, (32, 32))
    assert splits.info.class_names[3] == "class 3"
    x, label = splits.test[7]
    theirs, their_label = reader(tmp_path, train=False)[7]
    image_set = IMAGE_SETS[name]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (image_set.mean, image_set.std))
    expected = (torch.from_numpy(np.array(theirs)).permute(2, 0, 1) / 255 - mean) / std
    assert torch.allclose(x, expected, atol=1e-6)
    assert label == their_label


def test_only_the_training_part_is_augmented(tmp_path):
    splits = load_data(DataRequest("mnist", root=write_mnist(tmp_path), validation=0.25))
    assert (len(splits.train), len(splits.validation)) == (30, 10)

    def passes(part, train):
        loader = make_loader(part, batch_size=10, train=train, temporal=False)
        return [torch.cat([x for x, _ in loader]) for _ in range(2)]

    for part in (splits.test, splits.validation):
        assert torch.equal(*passes(part, train=False))
    assert not torch.equal(*(torch.sort(x.flatten(1).sum(1)).values for x in passes(splits.train, train=True)))


def test_no_augmentation_if_not_wanted(tmp_path):
    train = load_data(DataRequest("mnist", root=write_mnist(tmp_path), augment="none")).train
    assert torch.equal(train[5][0], train[5][0])
    assert train.augment is None


def test_validation_is_the_same_for_every_request_and_disjoint(tmp_path):
    request = DataRequest("mnist", root=write_mnist(tmp_path), validation=0.25)
    first, second = load_data(request), load_data(request)
    assert torch.equal(first.validation.samples, second.validation.samples)
    held = {x.numpy().tobytes() for x in first.validation.samples}
    assert not held & {x.numpy().tobytes() for x in first.train.samples}


def test_resizes_once(tmp_path):
    splits = load_data(DataRequest("mnist", root=write_mnist(tmp_path), size=14, augment="none"))
    assert splits.info.size == (14, 14)
    assert splits.train.samples.shape == (40, 1, 14, 14)
    assert (
        splits.train.samples.float().std() < 0.7 * 74
    )  # antialiased noise is quieter than the noise, 74 = 256 / sqrt(12)


def test_symmetric_images_fill_minus_one_to_one(tmp_path):
    x, _ = load_data(DataRequest("mnist", root=write_mnist(tmp_path), symmetric=True)).test.fetch(torch.arange(20))
    assert torch.isclose(x.min(), torch.tensor(-1.0))
    assert torch.isclose(x.max(), torch.tensor(1.0))


def test_missing_files_are_named_with_place_and_checksum(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_data(DataRequest("cifar10", root=tmp_path / "nowhere"))
    message = str(caught.value)
    for part in ("could not be downloaded", "no network in tests", "--data-root DIR", "SACCADE_DATA"):
        assert part in message
    for file, md5 in [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]:
        assert f"{tmp_path / 'nowhere' / 'cifar-10-batches-py' / file} (MD5 {md5})" in message
    assert datasets.CIFAR10.tgz_md5 in message
    assert not (tmp_path / "nowhere").exists()  # the attempt leaves nothing behind

    with pytest.raises(FileNotFoundError) as caught:
        load_data(DataRequest("fashion-mnist", root=tmp_path))
    for file, md5 in datasets.FashionMNIST.resources:
        assert f"{tmp_path / 'FashionMNIST' / 'raw' / file.removesuffix('.gz')} (or {file} with MD5 {md5})" in str(
            caught.value
        )
    assert list(tmp_path.iterdir()) == []  # what was there before stays


def test_archives_in_place_are_unpacked_without_a_network(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for file, content in mnist_files().items():
        packed = gzip.compress(content)
        (raw / f"{file}.gz").write_bytes(packed)
        resources.append((f"{file}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    assert len(load_data(DataRequest("mnist", root=tmp_path)).train) == 40


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x08\x03\x00\x00", idx(np.zeros((3, 28, 28), np.uint8))[:200]])
def test_damaged_files_are_named(tmp_path, content):
    file = write_mnist(tmp_path) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"(?s)cannot be read.*Delete that folder.*train-images-idx3-ubyte"):
        load_data(DataRequest("mnist", root=tmp_path))


def test_a_batch_with_another_checksum_is_not_read(tmp_path, monkeypatch):
    write_cifar(tmp_path, datasets.CIFAR10, monkeypatch, 10, "labels", "label_names")
    with (tmp_path / "cifar-10-batches-py" / "data_batch_2").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"(?s)cannot be read.*corrupted.*data_batch_2"):
        load_data(DataRequest("cifar10", root=tmp_path))


def test_the_root_comes_from_the_request_the_environment_or_the_working_folder(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    monkeypatch.setenv("SACCADE_DATA", str(tmp_path))
    assert len(load_data(DataRequest("mnist")).train) == 40
    assert default_root() == tmp_path
    monkeypatch.delenv("SACCADE_DATA")
    assert default_root() == Path("data")


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'cifar10'"):
        load_data(DataRequest("cifr10"))
    with pytest.raises(ValueError, match=r"from 0 up to 1, not 1\.0"):
        load_data(DataRequest("mnist", root=tmp_path, validation=1.0))
    with pytest.raises(ValueError, match="size=0"):
        load_data(DataRequest("mnist", root=tmp_path, size=0))
    with pytest.raises(ValueError, match="steps=0"):
        load_data(DataRequest("digits", steps=0))


def test_importing_the_room_loads_no_optional_library():
    code = (
        "import sys, saccade.data; "
        "print([m for m in ('torchvision', 'sklearn', 'PIL', 'spikingjelly', 'numba') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    assert {"mnist", "fashion-mnist", "cifar10", "cifar100", "folder", "cifar10-jpeg", "digits"} <= set(list_data())


@pytest.mark.skipif("SACCADE_SHARED" not in os.environ, reason="needs the real MNIST, in the folder SACCADE_SHARED")
def test_the_real_mnist_is_normalised(tmp_path):
    archive = np.load(Path(os.environ["SACCADE_SHARED"]) / "data" / "mnist.npz")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, short in (("train", "train"), ("t10k", "test")):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(archive[f"x_{short}"]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(archive[f"y_{short}"]))
    splits = load_data(DataRequest("mnist", root=tmp_path, augment="none"))
    assert (len(splits.train), len(splits.test)) == (60000, 10000)
    x, labels = splits.train.fetch(torch.arange(60000))
    assert abs(float(x.mean())) < 1e-3
    assert abs(float(x.std()) - 1) < 1e-3
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]


def write_binary(root, version, classes, count=20):
    """The binary version with so many images a file, and all of them as [N, 3, 32, 32] with labels."""
    folder = root / version.folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    parts = {}
    for part, names in (("train", version.train), ("test", version.test)):
        images = rng.integers(0, 256, (len(names), count, 3, 32, 32), dtype=np.uint8)
        labels = np.arange(len(names) * count, dtype=np.uint8).reshape(len(names), count) % classes
        for name, these, theirs in zip(names, images, labels, strict=True):
            before = np.full((count, version.label_bytes), 255, np.uint8)
            before[:, -1] = theirs
            (folder / name).write_bytes(np.concatenate([before, these.reshape(count, -1)], 1).tobytes())
        parts[part] = images.reshape(-1, 3, 32, 32), labels.ravel()
    (folder / version.names).write_text("\n".join(f"class {i}" for i in range(classes)) + "\n\n")
    return parts


@pytest.mark.parametrize(
    ("name", "version", "classes"), [("cifar10", cifar_binary.CIFAR10, 10), ("cifar100", cifar_binary.CIFAR100, 20)]
)
def test_reads_the_binary_versions(tmp_path, name, version, classes):
    parts = write_binary(tmp_path, version, classes)
    splits = load_data(DataRequest(name, tmp_path, augment="none"))
    assert (splits.info.num_classes, splits.info.in_channels, splits.info.size) == (classes, 3, (32, 32))
    assert splits.info.class_names[3] == "class 3"
    assert splits.info.note == (
        f"{20 * len(version.train)} training and 20 test images, of 50,000 and 10,000 in the whole set"
    )
    for dataset, part in ((splits.train, "train"), (splits.test, "test")):
        images, labels = parts[part]
        assert torch.equal(dataset.samples, torch.from_numpy(images))
        assert dataset.labels.tolist() == labels.tolist()


def test_damaged_binary_versions_are_refused(tmp_path):
    write_binary(tmp_path, cifar_binary.CIFAR100, 20)
    file = tmp_path / "cifar-100-binary/test.bin"
    sound = file.read_bytes()
    for content, sentence in (
        (sound[:-1], "no whole number of records of 3074 bytes"),
        (b"", "no whole number of records"),
        (sound[:1] + b"\x63" + sound[2:], "it has the label 99, but fine_label_names.txt names 20"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=sentence):
            load_data(DataRequest("cifar100", tmp_path))


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_what_is_missing_names_every_layout(tmp_path, name, capsys):
    with pytest.raises(FileNotFoundError) as missing:
        load_data(DataRequest(name, tmp_path))
    assert main(["data", "list", name, "--data-root", str(tmp_path)]) == 0
    for folder in IMAGE_SETS[name].folders:
        assert str(tmp_path / folder) in str(missing.value)
    listed = capsys.readouterr().out
    assert all(str(tmp_path / folder) in listed for folder in IMAGE_SETS[name].folders)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_real_binary_versions(name):
    """Mean and deviation are the published ones."""
    root = os.environ.get("SACCADE_DATA")
    if not root or not IMAGE_SETS[name].binary.is_in(Path(root)):
        pytest.skip("needs the binary version below SACCADE_DATA")
    train = read_images(name, Path(root), train=True)
    assert train.images.shape == (50_000, 3, 32, 32)
    means = [float(train.images[:, c].double().mean()) / 255 for c in range(3)]
    assert means == pytest.approx(IMAGE_SETS[name].mean, abs=1e-4)
    assert torch.bincount(train.labels).unique().tolist() == [50_000 // len(train.classes)]
