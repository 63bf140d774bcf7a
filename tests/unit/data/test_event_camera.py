"""Simulated recordings: the events of `simulate_camera` with times, and each fault of a sensor as it is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_image_sets import write_mnist

from saccade.data import DataRequest, load_data
from saccade.data.camera import simulate_camera
from saccade.data.event_camera import EventCamera, simulate_events
from saccade.data.events import SIMULATED, load_simulated

IDEAL = EventCamera(mismatch=0.0, noise_hz=0.0, refractory_us=0.0, steps=30)


def pictures(count=3, side=8):
    return torch.rand(count, side, side, generator=torch.Generator().manual_seed(0))


def test_without_faults_the_counts_are_those_of_the_plain_camera():
    images = pictures().double()
    n, t, x, y, p = simulate_events(images, IDEAL)
    expected = simulate_camera(images, IDEAL.path(), frames=IDEAL.steps, threshold=IDEAL.threshold, dark=IDEAL.dark)
    counts = torch.zeros_like(expected)
    step = (t / (IDEAL.duration_us / IDEAL.steps)).astype(int).clip(max=IDEAL.steps - 1)
    counts.index_put_(tuple(map(torch.as_tensor, (step, n, p.astype(int), y.astype(int), x.astype(int)))), torch.ones(len(n), dtype=torch.float64), accumulate=True)  # fmt: skip  # noqa: E501
    assert len(n) == expected.sum() > 100
    assert torch.equal(counts.sum(0), expected.sum(0))
    assert (counts != expected).double().mean() < 0.01  # an event on the border of two steps
    assert all((np.diff(t[n == k]) >= 0).all() for k in range(3))
    assert 0 <= t.min() <= t.max() <= IDEAL.duration_us


def test_a_deaf_pixel_waits():
    camera = replace(IDEAL, refractory_us=30_000.0)
    n, t, x, y, _ = simulate_events(pictures(), camera)
    pixel = (n * 8 + y) * 8 + x
    order = np.lexsort((t, pixel))
    waits = np.diff(t[order])[np.diff(pixel[order]) == 0]
    assert len(waits) > 20
    assert waits.min() >= 30_000 - 1
    assert len(n) < 0.7 * len(simulate_events(pictures(), IDEAL)[0])


def test_noise_comes_at_its_rate_and_does_not_depend_on_the_portion():
    camera = replace(IDEAL, noise_hz=200.0, steps=3)
    black = torch.zeros(20, 8, 8)
    n, t, _, _, p = simulate_events(black, camera)
    wanted = 20 * 64 * 200 * camera.duration_us * 1e-6
    assert len(n) == pytest.approx(wanted, rel=0.05)
    assert p.mean() == pytest.approx(0.5, abs=0.02)
    assert t.mean() == pytest.approx(camera.duration_us / 2, rel=0.02)
    later = simulate_events(black[7:9], camera, first=7)
    assert all(np.array_equal(one[n == 7], two[later[0] == 0]) for one, two in zip((t, p), later[1::3], strict=True))


def test_thresholds_differ_from_pixel_to_pixel_but_not_from_image_to_image():
    images = torch.linspace(0, 1, 8).expand(2, 8, 8).contiguous()
    n, _, x, y, _ = simulate_events(images, replace(IDEAL, mismatch=0.15, threshold=0.05))
    counts = np.zeros((2, 8, 8), int)
    np.add.at(counts, (n, y, x), 1)
    assert (counts[0] == counts[1]).all()
    assert (counts[0].max(0) > counts[0].min(0)).any()  # all rows look at the same, moved up and down
    assert len(simulate_events(images, replace(IDEAL, threshold=0.05))[0]) != len(n)


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"dark": -1.0}, {"noise_hz": float("nan")}, {"steps": 0}, {"corners": ((0.0, 0.0),)}, {"mismatch": 0.5}])  # fmt: skip  # noqa: E501
def test_cameras_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=r"A camera needs|A path needs|mismatch is a share"):
        EventCamera(**wrong)


def test_an_image_set_before_the_camera(tmp_path):
    root = write_mnist(tmp_path)
    few = EventCamera(steps=40, refractory_us=0.0)
    request = DataRequest("mnist-saccade", root, steps=3, validation=0.25)
    splits = load_simulated(request, SIMULATED["mnist-saccade"], few)
    assert (splits.info.num_classes, splits.info.in_channels, splits.info.size) == (10, 2, (34, 34))
    assert splits.info.temporal
    assert splits.info.note.startswith("simulated event camera before real images (mnist); 40 training and 20 test")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (30, 10, 20)
    x, label = splits.test[3]
    assert x.shape == (3, 2, 34, 34)
    assert label == 3
    assert x.sum() > 500
    store = splits.test.store
    assert load_simulated(request, SIMULATED["mnist-saccade"], few).test.store.folder == store.folder
    assert load_simulated(request, SIMULATED["mnist-saccade"], replace(few, seed=1)).test.store.folder != store.folder
    assert store.column("name")[:2] == ["train/0/00001", "train/1/00002"]


def test_simulated_sets_are_found_by_name_and_say_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: (_ for _ in ()).throw(OSError("no network in tests")))
    from saccade.data import CATALOG

    for name in ("mnist-saccade", "fashion-saccade", "cifar10-saccade"):
        assert CATALOG[name].summary.startswith("simulated event camera")
        assert CATALOG[name].temporal
    with pytest.raises(FileNotFoundError, match="MNIST"):
        load_data(DataRequest("mnist-saccade", tmp_path / "nothing"))
