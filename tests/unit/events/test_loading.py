"""Where clips are held: in files read by workers, in memory, or on a GPU; the batches are the same."""

from __future__ import annotations

import pickle
from dataclasses import replace
from types import SimpleNamespace

import event_files as files
import pytest
import torch

from saccade.data import DataRequest, load_data, make_loader


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    files.nmnist_tree(tmp_path)
    monkeypatch.setattr("saccade.data.events.load.RESIDENT_BYTES", 0)
    return load_data(DataRequest("nmnist", tmp_path, steps=4)).train


def batches(dataset, **options):
    return list(make_loader(dataset, batch_size=8, train=True, temporal=True, seed=5, **options))


def test_files_are_read_by_workers_and_memory_is_not(on_disk):
    options = {"batch_size": 8, "train": True, "temporal": True, "workers": 2}
    assert make_loader(on_disk, **options).num_workers == 2
    assert make_loader(on_disk.to("cpu"), **options).num_workers == 0


def test_batches_do_not_depend_on_where_the_clips_are_held(on_disk):
    expected = batches(on_disk)
    assert len(expected) == 5
    for found in (batches(on_disk, workers=1), batches(on_disk.to("cpu"))):
        for (x, labels), (other_x, other_labels) in zip(expected, found, strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(labels, other_labels)
            assert x.shape == (4, 8, 2, 34, 34)


def test_workers_map_the_files_instead_of_getting_a_copy(on_disk):
    plain = replace(on_disk, augment=None)
    sent = pickle.dumps(plain)
    assert len(sent) < 50_000 < plain.store.nbytes
    assert torch.equal(pickle.loads(sent)[7][0], plain[7][0])


@pytest.mark.parametrize(("free", "moved"), [(4, True), (3.9, False)])
def test_held_on_a_gpu_if_a_quarter_of_its_memory_is_enough(on_disk, monkeypatch, free, moved):
    """Without a GPU: a stand-in for the data set that notes where it is asked to go."""
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * on_disk.nbytes), 10**12))
    asked = []

    class Clips(SimpleNamespace):
        def __len__(self):
            return len(on_disk)

    def go(device):
        asked.append(device)
        return Clips(**{**vars(clips), "device": device})

    clips = Clips(device=None, nbytes=on_disk.nbytes, fetch=on_disk.fetch, to=go)
    loader = make_loader(clips, batch_size=8, train=True, temporal=True, device=gpu, workers=2)
    assert asked == ([gpu] if moved else [])
    assert loader.dataset.dataset.device == (gpu if moved else None)
    assert loader.num_workers == (0 if moved else 2)
    assert (
        make_loader(clips, batch_size=8, train=True, temporal=True, device=torch.device("cpu")).dataset.dataset is clips
    )


def test_what_holding_takes(on_disk):
    held = on_disk.to("cpu")
    assert held.resident.nbytes == on_disk.nbytes == len(on_disk) * 4 * 2 * 34 * 34
    assert held.to("cpu").resident.device.type == "cpu"
