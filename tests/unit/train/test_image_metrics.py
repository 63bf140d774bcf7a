"""Fréchet distance against other implementations, shipped autoencoders, FID and inception score with stand-ins."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torchmetrics.image.fid import _compute_fid

from saccade.train.images import inception
from saccade.train.images.autoencoder import Autoencoder, load_autoencoder, save_autoencoder, shipped_autoencoders
from saccade.train.images.frechet import Gaussian, fit_gaussian, frechet_distance


def cloud(seed: int, count: int = 500, size: int = 6) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=draw, dtype=torch.float64)
    return torch.randn(count, size, generator=draw, dtype=torch.float64) @ mix + seed


def test_gaussian_of_batches_is_that_of_all():
    features = cloud(1)
    fitted = fit_gaussian(features.split(130))
    np.testing.assert_allclose(fitted.mean, features.mean(0), rtol=1e-12)
    np.testing.assert_allclose(fitted.covariance, np.cov(features.numpy(), rowvar=False), rtol=1e-12)
    assert fitted.count == 500
    with pytest.raises(ValueError, match="two samples or more, but there are 1"):
        fit_gaussian([features[:1]])


def test_distance_equals_scipy_and_torchmetrics():
    a, b = fit_gaussian([cloud(1)]), fit_gaussian([cloud(2)])
    root = sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    by_scipy = float((a.mean - b.mean).square().sum()) + np.trace((a.covariance + b.covariance).numpy() - 2 * root)
    by_torchmetrics = float(_compute_fid(a.mean, a.covariance, b.mean, b.covariance))
    assert frechet_distance(a, b) == pytest.approx(by_scipy, rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(by_torchmetrics, rel=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_distance_by_hand():
    def diagonal(mean: float, *variances: float) -> Gaussian:
        return Gaussian(torch.full((len(variances),), mean).double(), torch.tensor(variances).double().diag(), 9)

    # (3 - 1)^2 per axis, and (standard deviation - standard deviation)^2 per axis
    assert frechet_distance(diagonal(1, 4, 9), diagonal(3, 1, 0)) == pytest.approx(8 + 1 + 9)
    assert frechet_distance(diagonal(1, 4, 0), diagonal(1, 4, 0)) == 0


def test_autoencoder_comes_back_and_a_changed_file_is_noticed(tmp_path):
    model = Autoencoder(3, 8).eval()
    save_autoencoder(model, "mine", {"data": "none"}, tmp_path)
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    loaded, card = load_autoencoder("mine", tmp_path)
    assert card["data"] == "none"
    assert torch.equal(loaded.encode(images), model.encode(images))
    assert loaded(images).shape == images.shape
    (tmp_path / "mine.json").write_text(json.dumps({**card, "sha256": "0"}))
    with pytest.raises(ValueError, match="another sha256"):
        load_autoencoder("mine", tmp_path)


def test_no_autoencoder_for_it():
    with pytest.raises(FileNotFoundError, match=r"There is one for: .*mnist"):
        load_autoencoder("cifar1000")


def test_shipped_autoencoders_do_what_their_cards_say():
    assert "mnist" in shipped_autoencoders()
    for name in shipped_autoencoders():
        model, card = load_autoencoder(name)
        assert card["test_reconstruction"] < 0.05
        assert card["distance_train_to_test"] < card["distance_noise_to_test"] / 100
        features = torch.cat(list(model.features([torch.zeros(2, card["sizes"]["in_channels"], 32, 32)])))
        assert features.shape == (2, card["sizes"]["latent"])


class Shrink(nn.Module):
    """Stands in for Inception: 3x32x32 bytes -> features."""

    num_features = 12

    def forward(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        return nn.functional.adaptive_avg_pool2d(images.double() / 64, 2).flatten(1)


def test_inception_scores_with_stand_in_networks():
    real, drawn = (torch.rand(60, 1, 32, 32, generator=torch.Generator().manual_seed(s)) * 2 - 1 for s in (0, 1))
    found = inception.scores_from(real.split(20), drawn.split(25), Shrink(), Shrink(), torch.device("cpu"))
    features = [fit_gaussian([Shrink()(inception.as_rgb_bytes(x))]) for x in (real, drawn)]
    assert found["fid"] == pytest.approx(frechet_distance(*features), rel=1e-3)
    assert found["inception_score"] >= 1
    assert "60 generated against 60 test images" in found["settings"]


def test_without_the_weights_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(inception.importlib.util, "find_spec", lambda name: None)
    assert "torch-fidelity, which is not installed" in inception.find_weights()
    monkeypatch.setattr(inception.importlib.util, "find_spec", lambda name: object())
    assert str(tmp_path / "w.pth") in inception.find_weights(tmp_path / "w.pth")
    (tmp_path / "w.pth").touch()
    assert inception.find_weights(tmp_path / "w.pth") == tmp_path / "w.pth"


def test_bytes():
    values = torch.tensor([-1.0, -0.999, 0.0, 1.0, 1.5])
    assert inception.to_bytes(values).tolist() == [0, 0, 128, 255, 255]
