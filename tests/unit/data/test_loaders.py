"""Batches: time first, complete, and a function of (seed, epoch, batch) alone."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from saccade.data import DataRequest, ImageTensors, draw_seed, load_data, make_loader
from saccade.data import loaders as loaders_module
from saccade.data.augment import Jitter
from saccade.data.loaders import BatchSampler


def image_tensors(count=22, augment=None, shape=(3, 2, 6, 6)):
    """Sequences [T, C, H, W] whose label is their index."""
    samples = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageTensors(samples, torch.arange(count), (0.0,), (1.0,), augment)


class Sequences(Dataset):
    """The same samples one by one, as a data set on disk has them; each is jittered on its own."""

    def __init__(self, augment=None):
        self.inner = image_tensors(augment=augment)

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        return self.inner[index]


def batches(dataset, epoch=None, **options):
    options = {"batch_size": 4, "train": True, "temporal": True, "seed": 5, **options}
    loader = make_loader(dataset, **options)
    if epoch is not None:
        loader.set_epoch(epoch)
    return list(loader)


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) and torch.equal(k, m) for (a, k), (b, m) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("dataset", [image_tensors(), Sequences()], ids=["whole batches", "sample by sample"])
def test_time_comes_first(dataset):
    for x_TBCHW, labels in batches(dataset):
        assert x_TBCHW.shape == (3, 4, 2, 6, 6)
        assert x_TBCHW.is_contiguous()
        assert labels.dtype == torch.int64
        for b, label in enumerate(labels):
            assert torch.equal(x_TBCHW[:, b], dataset[int(label)][0])


def test_images_stay_batch_first():
    dataset = image_tensors(shape=(3, 6, 6))
    (x_BCHW, labels), *_ = batches(dataset, temporal=False)
    assert torch.equal(x_BCHW, torch.stack([dataset[int(label)][0] for label in labels]))


def test_training_drops_only_the_last_smaller_batch():
    labels = torch.cat([labels for _, labels in batches(image_tensors(22))])
    assert len(labels) == 20
    assert len(labels.unique()) == 20
    ((_, labels),) = batches(image_tensors(3))  # fewer than one batch: kept
    assert sorted(labels.tolist()) == [0, 1, 2]


def test_testing_is_complete_and_in_order():
    for epoch in (0, 1):
        found = batches(image_tensors(22), train=False, epoch=epoch)
        assert torch.cat([labels for _, labels in found]).tolist() == list(range(22))
        assert [len(labels) for _, labels in found] == [4, 4, 4, 4, 4, 2]


@pytest.mark.parametrize("kind", [image_tensors, Sequences])
def test_a_resumed_run_sees_what_an_undisturbed_one_sees(kind):
    dataset = kind(augment=Jitter(1, mirror=True))
    loader = make_loader(dataset, batch_size=4, train=True, temporal=True, seed=5)
    torch.manual_seed(1)
    undisturbed = [list(loader) for _ in range(3)]  # every pass is the next epoch
    torch.manual_seed(2)
    assert same(undisturbed[2], batches(dataset, epoch=2))
    assert same(undisturbed[0], batches(dataset))
    assert not same(undisturbed[0], undisturbed[1])
    assert not same(undisturbed[0], batches(dataset, seed=6))


def test_the_order_differs_between_epochs_and_seeds():
    orders = [
        tuple(torch.cat([k for _, k in batches(image_tensors(), epoch=epoch, seed=seed)]).tolist())
        for epoch in (0, 1)
        for seed in (0, 1)
    ]
    assert len(set(orders)) == 4


@pytest.mark.parametrize("kind", [image_tensors, Sequences])
def test_the_global_generator_is_left_alone(kind):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches(kind(augment=Jitter(1, mirror=True)))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_set_after_the_iterator_was_made_counts():
    """As Lightning does it when it resumes."""
    dataset = image_tensors(augment=Jitter(1, mirror=True))
    loader = make_loader(dataset, batch_size=4, train=True, temporal=True, seed=5)
    iterator = iter(loader)
    loader.sampler.set_epoch(7)
    assert same(list(iterator), batches(dataset, epoch=7))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_distributed_processes_share_every_training_batch(accumulate):
    alone = list(BatchSampler(22, 8, True, 5, accumulate=accumulate))
    parts = [list(BatchSampler(22, 8, True, 5, rank, 2, accumulate=accumulate)) for rank in range(2)]
    assert len(alone) == len(parts[0]) == len(parts[1]) == 2 * accumulate
    for whole, *shares in zip(alone, *parts, strict=True):
        assert all(torch.equal(share.indices, whole.indices) and share.seed == whole.seed for share in shares)
        assert torch.equal(torch.cat([share.indices[share.rows] for share in shares]), whole.indices)
        assert [len(share.indices[share.rows]) for share in shares] == [4 // accumulate] * 2


def test_distributed_processes_share_the_test_part_without_loss():
    parts = [list(BatchSampler(21, 4, False, 5, rank, 3)) for rank in range(3)]
    assert [len(part) for part in parts] == [6, 5, 5]  # the last batch has one sample
    assert [len(BatchSampler(21, 4, False, 5, rank, 3)) for rank in range(3)] == [6, 5, 5]
    taken = torch.cat([request.indices[request.rows] for part in parts for request in part])
    assert sorted(taken.tolist()) == list(range(21))


@pytest.mark.parametrize("kind", [image_tensors, Sequences])
def test_shares_of_a_batch_are_augmented_as_the_whole(kind, monkeypatch):
    dataset = kind(augment=Jitter(1, mirror=True))
    whole = batches(dataset)
    shares = []
    for rank in range(2):
        place = SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: True,
            get_rank=lambda rank=rank: rank,
            get_world_size=lambda: 2,
        )
        monkeypatch.setattr(loaders_module, "distributed", place)
        shares.append(batches(dataset))
        assert same(whole, batches(dataset, alone=True))
    together = [(torch.cat([a, b], 1), torch.cat([k, m])) for (a, k), (b, m) in zip(*shares, strict=True)]
    assert same(whole, together)


def test_a_tiny_set_is_shared_out_equally():
    found = [[r.indices[r.rows] for r in BatchSampler(7, 8, True, 0, rank, 2, accumulate=2)] for rank in range(2)]
    assert [[len(rows) for rows in part] for part in found] == [[1, 1], [1, 1]]
    assert len(torch.cat([rows for part in found for rows in part]).unique()) == 4


@pytest.mark.parametrize(
    ("length", "batch_size", "processes", "accumulate"), [(20, 6, 4, 1), (20, 6, 1, 4), (3, 4, 4, 1)]
)
def test_batches_that_cannot_be_shared_out(length, batch_size, processes, accumulate):
    with pytest.raises(ValueError, match=r"cannot be shared out equally .* a multiple of 4, e\.g\. [48]\."):
        BatchSampler(length, batch_size, True, 0, 0, processes, accumulate=accumulate)
    assert len(BatchSampler(length, batch_size, False, 0, 0, processes, accumulate=accumulate)) > 0


def test_takes_its_share_from_the_running_process_group(monkeypatch):
    group = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 1, get_world_size=lambda: 2
    )
    monkeypatch.setattr(loaders_module, "distributed", group)
    sampler = make_loader(image_tensors(), batch_size=4, train=True, temporal=True).sampler
    assert (sampler.rank, sampler.processes, len(sampler)) == (1, 2, 5)
    assert next(iter(sampler)).rows == slice(2, 4)


def test_a_plain_torch_loader_works_too():
    dataset = image_tensors()
    (x, labels), *_ = DataLoader(dataset, batch_size=4)
    assert labels.tolist() == [0, 1, 2, 3]
    assert torch.equal(x, dataset.fetch(torch.arange(4))[0])


def write_folder(root):
    generator = torch.Generator().manual_seed(0)
    for part in ("train", "val"):
        for label in ("a", "b"):
            folder = root / part / label
            folder.mkdir(parents=True)
            for i in range(5):
                pixels = torch.randint(256, (80, 70, 3), dtype=torch.uint8, generator=generator).numpy()
                Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.mark.slow
def test_workers_change_nothing(tmp_path):
    write_folder(tmp_path)
    dataset = load_data(DataRequest("folder", root=tmp_path, size=24)).train
    loader = make_loader(dataset, batch_size=3, train=True, temporal=False, workers=2, seed=5)
    epochs = [list(loader), list(loader)]
    assert same(epochs[0], batches(dataset, batch_size=3, temporal=False))
    assert same(epochs[1], batches(dataset, batch_size=3, temporal=False, epoch=1))
    assert not same(epochs[0], epochs[1])


KILLED_RUN = """
import os, sys
from saccade.data import DataRequest, load_data, make_loader

if __name__ == "__main__":
    dataset = load_data(DataRequest("folder", root=sys.argv[1], size=24)).train
    loader = make_loader(dataset, batch_size=2, train=True, temporal=False, workers=2)
    list(loader)  # all done: the workers wait for the next epoch
    print(*(worker.pid for worker in loader._iterator._workers), flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_workers_end_with_a_run_that_is_killed(tmp_path):
    write_folder(tmp_path / "images")
    script = tmp_path / "killed_run.py"
    script.write_text(KILLED_RUN)
    with (tmp_path / "out.txt").open("w") as out:  # not a pipe, which the workers would hold open
        ran = subprocess.run([sys.executable, script, tmp_path / "images"], stdout=out, stderr=subprocess.DEVNULL)
    assert ran.returncode == -9
    workers = [int(pid) for pid in (tmp_path / "out.txt").read_text().split()]
    assert len(workers) == 2
    deadline = time.monotonic() + 60  # torch's workers look for their parent every 5 seconds
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers outlived the process that started them"
        time.sleep(0.5)


def is_running(pid):
    """Not gone, and not a zombie that nobody has collected yet."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_seeds_differ_with_every_part_of_the_key():
    keys = [(s, e, b) for s in range(3) for e in range(3) for b in range(3)]
    assert len({draw_seed(*key) for key in keys}) == len(keys)
    assert draw_seed(1, 2, 3) == draw_seed(1, 2, 3)


@pytest.mark.parametrize(("count", "batch_size"), [(0, 4), (4, 0)])
def test_needs_samples_and_a_batch_size(count, batch_size):
    with pytest.raises(ValueError, match="batches of 1 or more"):
        make_loader(image_tensors(count), batch_size=batch_size, train=True, temporal=True)


def test_samples_are_bytes_with_a_label_each():
    with pytest.raises(ValueError, match="uint8"):
        ImageTensors(torch.zeros(3, 1, 4, 4), torch.zeros(3), (0.0,), (1.0,))
    with pytest.raises(ValueError, match="3 samples, 2 labels"):
        ImageTensors(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(2), (0.0,), (1.0,))


def test_a_pass_that_is_cut_short_has_samples_from_everywhere():
    whole = BatchSampler(22, 4, False, 0)
    cut = BatchSampler(22, 4, False, 0, most=2)
    assert (len(whole), len(cut), cut.samples) == (6, 2, 8)
    first, again = ([request.indices.tolist() for request in cut] for _ in range(2))
    assert first == again
    assert [len(indices) for indices in first] == [4, 4]
    assert first[-1][-1] >= 19
    assert len(BatchSampler(22, 4, False, 0, most=9)) == 6
    assert len(BatchSampler(22, 4, True, 0, most=3)) == 3
    assert whole.samples == 22
