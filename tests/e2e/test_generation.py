"""The fully spiking VAE from the command line: train, resume, diverge, draw, score."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.cli import main
from saccade.models.weights import load_weights
from saccade.train.learning import generation, schedule
from saccade.train.learning import task as learning

SIDE, STEPS = 16, 6
TINY = f"--data folder --image-size {SIDE} --steps {STEPS} --batch-size 4 --width 0.25 --device cpu".split()
TINY += ["--model-options", "latent", "16", "k", "4"]


def saccade(capsys, *words):
    """Exit code, output and errors of a command line."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder of little pictures: 160 to train on, 20 to test."""
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for part, count in (("train", 160), ("test", 20)):
        folder = root / part / "faces"
        folder.mkdir(parents=True)
        for i in range(count):
            picture = np.zeros((SIDE, SIDE, 3), np.uint8)
            picture[4:12, 4:12] = rng.integers(80, 255, 3)
            Image.fromarray(picture).save(folder / f"{i}.png")
    return root


def train_words(faces, run_dir, *more):
    return ["train", "mnist-fsvae", *TINY, "--data-root", faces, "--epochs", 2, "--run-dir", run_dir, *more]


@pytest.fixture(scope="module")
def run_dir(faces, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    assert main([str(word) for word in train_words(faces, path)]) == 0
    return path


def test_what_a_run_leaves(run_dir):
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("epoch", "train_loss", "test_reconstruction", "test_divergence", "lr", "firing_rate", "seconds")
    ]
    result = json.loads((run_dir / "result.json").read_text())
    assert result["test_samples"] == 20
    assert result["test_reconstruction"] == pytest.approx(float(rows[-1]["test_reconstruction"]))
    assert result["frechet_autoencoder_distance"] is None
    assert "no autoencoder is shipped for folder" in result["frechet_autoencoder_distance_is"]
    assert set(result["firing_rate_by_part"]) == {"encoder", "posterior", "prior", "decoder"}
    model, card = load_weights(run_dir)
    assert card["score"]["test_reconstruction"] == result["test_reconstruction"]
    assert model.created_with["image_size"] == SIDE


def test_the_table_at_the_end_names_the_error(faces, tmp_path, capsys):
    code, out, _ = saccade(capsys, *train_words(faces, tmp_path / "run", "--loss", "kld", "--max-batches", 1))
    assert code == 0
    assert "MSE in [-1, 1]" in out
    assert "Fréchet autoencoder" in out


def test_a_run_that_was_stopped_ends_with_the_same_weights(faces, run_dir, tmp_path, capsys, monkeypatch):
    step, calls = generation.GenerationTask.training_step, []

    def stop_in_the_second_epoch(self, batch, index):
        calls.append(index)
        if len(calls) == 55:  # 40 batches in an epoch
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(generation.GenerationTask, "training_step", stop_in_the_second_epoch)
        assert saccade(capsys, *train_words(faces, tmp_path / "run"))[0] == 130
    assert saccade(capsys, "train", "--run-dir", tmp_path / "run", "--resume")[0] == 0
    whole, resumed = (load_weights(path)[0].state_dict() for path in (run_dir, tmp_path / "run"))
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


@pytest.mark.parametrize("what", ["loss", "weights"])
def test_a_diverging_run_stops_with_a_sentence_and_keeps_its_checkpoint(faces, tmp_path, capsys, monkeypatch, what):
    def explode(step, total, warmup, name):
        return schedule.learning_rate_factor(step, total, warmup, name) * (1e38 if step >= 45 else 1)

    def poison(self, *_):
        if self.global_step >= 45:
            torch.nn.init.constant_(self.model.encoder.stages[0].conv.bias, float("nan"))

    run_dir = tmp_path / "run"
    if what == "loss":
        monkeypatch.setattr(learning, "learning_rate_factor", explode)
    else:  # a neuron whose potential is not a number never fires: the loss stays finite
        monkeypatch.setattr(learning.LearningTask, "on_train_batch_end", poison)
    code, _, err = saccade(capsys, *train_words(faces, run_dir))
    assert code == 2
    assert "in epoch 2 of 2, so training stopped" in err
    assert "The checkpoint after epoch 1 is kept" in err
    assert ("(the weights encoder.stages.0.conv.bias are not finite)" in err) == (what == "weights")
    kept = torch.load(run_dir / "resume.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in kept.values())


def test_generate_writes_grids(run_dir, faces, tmp_path, capsys):
    code, out, err = saccade(capsys, "generate", run_dir, "--count", 24, "--out", tmp_path, "--device", "cpu")
    assert (code, err) == (0, "")
    cell = 2 * (SIDE + 2)  # gap included, twice as large
    for name, rows, columns in (("samples", 3, 10), ("reconstructions", 2, 10), ("interpolations", 5, 10)):
        assert str(tmp_path / f"{name}.png") in out
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (columns * cell + 4, rows * cell + 4)
            assert picture.mode == "RGB"
    before = (tmp_path / "samples.png").read_bytes()
    saccade(capsys, "generate", run_dir, "--count", 24, "--out", tmp_path, "--device", "cpu")
    assert (tmp_path / "samples.png").read_bytes() == before
    saccade(capsys, "generate", run_dir, "--count", 24, "--out", tmp_path, "--device", "cpu", "--seed", 1)
    assert (tmp_path / "samples.png").read_bytes() != before


def test_metrics_say_their_settings_and_what_is_missing(run_dir, capsys):
    words = ["generate", run_dir, "--count", 4, "--metrics", "--device", "cpu", "--inception", "nowhere.pth"]
    code, out, err = saccade(capsys, *words)
    assert (code, err) == (0, "")
    assert "FID and inception score need" in out
    metrics = json.loads((run_dir / "generated" / "metrics.json").read_text())
    result = json.loads((run_dir / "result.json").read_text())
    assert metrics["test_reconstruction"] == pytest.approx(result["test_reconstruction"], rel=0.05)
    assert metrics["energy"]["energy_mj_to"]["sample"] > 0
    assert 0 < metrics["energy"]["firing_rate"]["encoder"] < 1


def test_wrong_kinds_of_runs(run_dir, tmp_path, capsys):
    code, _, err = saccade(capsys, "eval", run_dir)
    assert code == 2
    assert f"saccade generate {run_dir} --metrics" in err
    words = ["train", "digits-dta", "--width", 0.05, "--max-batches", 1, "--epochs", 1, "--warmup-epochs", 0]
    assert saccade(capsys, *words, "--run-dir", tmp_path / "run")[0] == 0
    code, _, err = saccade(capsys, "generate", tmp_path / "run")
    assert code == 2
    assert "holds msresnet18, which classifies images" in err
    assert saccade(capsys, "generate", tmp_path / "nowhere")[0] == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--data", "digits"], "'digits' holds sequences. Choose images."),
        (["--mix", "mixup"], "use mix='none'"),
        (["--loss", "ce"], "its loss is one of mmd, kld, not 'ce'"),
        (["--image-size", "28"], "power of two"),
    ],
)
def test_mistakes(words, expected, faces, tmp_path, capsys):
    code, _, err = saccade(capsys, *train_words(faces, tmp_path / "run", *words))
    assert code == 2
    assert expected in err
    assert not (tmp_path / "run").exists()
