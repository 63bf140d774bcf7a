"""A run from the command line to its files; everything in this process, on a few batches."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch

from saccade.cli import main
from saccade.files import read_object as read
from saccade.models.weights import load_weights
from saccade.train.build import build_loaders
from saccade.train.learning import schedule
from saccade.train.learning import task as learning
from saccade.train.learning.classification import ClassificationTask
from saccade.train.running.run_folder import RunFolder

TINY = ["--model", "fashion_net", "--width", "0.05", "--attention", "tcja", "--max-batches", "2"]


def saccade(capsys, *words):
    """Exit code, output and errors of a command line."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "digits-dta", *TINY, "--epochs", "2", "--validation", "0.2", "--run-dir", str(path)]
    assert main(words) == 0
    return path


def test_the_folder_holds_what_is_promised(run_dir):
    names = {path.name for path in run_dir.iterdir()}
    assert names == {
        "config.json",
        "metrics.csv",
        "result.json",
        "weights.safetensors",
        "card.json",
        "checksums.json",
        "resume.ckpt",
        "resume.before.ckpt",
        "tensorboard",
        ".lock",
    }
    assert json.loads((run_dir / "config.json").read_text())["width"] == 0.05
    assert list((run_dir / "tensorboard").glob("events.out.tfevents.*"))
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {
        "train_loss",
        "train_accuracy",
        "validation_accuracy",
        "validation_top5",
        "lr",
        "firing_rate",
        "seconds",
    } < set(rows[0])


def test_the_result_says_how_it_was_reached(run_dir):
    result = json.loads((run_dir / "result.json").read_text())
    assert 0 <= result["test_accuracy"] <= 1
    assert 0 < result["firing_rate"] < 1
    assert result["seconds"] > 0
    assert result["seconds_per_step"] > 0
    assert result["epochs"] == 2
    assert result["seed"] == 0
    assert all(0 <= rate <= 1 for rate in result["firing_rates"].values())
    assert len(result["firing_rates"]) == 4
    # the test part was scored once, at the end
    assert "max_test_accuracy" not in result
    assert "validation_accuracy" in result
    model, card = load_weights(run_dir)
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    assert card["score"]["test_accuracy"] == result["test_accuracy"]
    assert card["model"]["attention"] == "tcja"


def test_without_validation_the_last_epoch_counts_and_the_best_is_called_optimistic(tmp_path, capsys):
    code, out, err = saccade(capsys, "train", "digits-dta", *TINY, "--epochs", 2, "--run-dir", tmp_path / "run")
    assert (code, err) == (0, "")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert result["test_accuracy"] == float(rows[-1]["test_accuracy"])
    assert result["max_test_accuracy"] == max(float(row["test_accuracy"]) for row in rows)
    assert result["max_test_accuracy_is"] == "maximum over epochs, optimistic"
    assert "parameters" in out
    assert "time per step" in out
    assert str(tmp_path / "run") in out


def test_a_finished_run_is_not_trained_again(run_dir, capsys):
    before = (run_dir / "weights.safetensors").stat().st_mtime_ns
    code, out, _ = saccade(capsys, "train", "--run-dir", run_dir, "--resume")
    assert code == 0
    assert "finished already" in out
    assert "test accuracy" in out
    assert "epoch 1/" not in out
    assert (run_dir / "weights.safetensors").stat().st_mtime_ns == before


def test_a_finished_run_can_be_given_more_epochs_but_not_fewer(run_dir, tmp_path, capsys):
    longer = tmp_path / "longer"
    shutil.copytree(run_dir, longer)
    code, out, _ = saccade(capsys, "train", "--run-dir", longer, "--resume", "--epochs", 4)
    assert code == 0
    assert "epoch 3/4" in out
    assert "epoch 2/4" not in out
    said = "planned for 2 epochs, and for 4 after epoch 2: from there on the learning rate follows the schedule over 4"
    assert said in out
    assert said in read(longer / "result.json")["extended"]
    assert said in read(longer / "card.json")["score"]["extended"]
    # the score and the weights of the shorter run are kept, apart
    for file in ("result.json", "weights.safetensors", "card.json"):
        assert (longer / "earlier" / "epochs-2" / file).read_bytes() == (run_dir / file).read_bytes()
    code, _, err = saccade(capsys, "train", "--run-dir", longer, "--resume", "--epochs", 1)
    assert code == 2
    assert "has 4 epochs behind it" in err


def test_the_learning_rate_goes_on_where_the_longer_schedule_has_it(run_dir, tmp_path, monkeypatch):
    """The checkpoint of a finished run holds the end of its cosine, zero; the first step took it."""
    longer = tmp_path / "longer"
    shutil.copytree(run_dir, longer)
    used = []
    step = ClassificationTask.training_step

    def watched(self, batch, index):
        used.append(self.optimizers().param_groups[0]["lr"])
        return step(self, batch, index)

    monkeypatch.setattr(ClassificationTask, "training_step", watched)
    assert main(["train", "--run-dir", str(longer), "--resume", "--epochs", "4"]) == 0
    peak = read(longer / "config.json")["lr"]
    assert used == [peak * schedule.learning_rate_factor(i, 8, 1) for i in range(4, 8)]


def test_a_damaged_checkpoint_costs_an_epoch(run_dir, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    for file in ("result.json", "weights.safetensors", "card.json"):
        (run / file).unlink()
    damaged = bytearray((run / "resume.ckpt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (run / "resume.ckpt").write_bytes(damaged)
    code, out, err = saccade(capsys, "train", "--run-dir", run, "--resume")
    assert code == 0
    assert "it is damaged: another checksum" in err
    assert "It is now damaged.resume.ckpt; going on from the one before it." in err
    assert "epoch 2/2" in out
    assert "epoch 1/2" not in out
    assert (run / "weights.safetensors").read_bytes() == (run_dir / "weights.safetensors").read_bytes()


def test_an_extended_run_that_is_killed_shows_no_score(run_dir, tmp_path, capsys, monkeypatch):
    longer = tmp_path / "longer"
    shutil.copytree(run_dir, longer)
    assert main(["gates", str(longer), "--samples", "2"]) == 0

    def stop(self, batch, index):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ClassificationTask, "training_step", stop)
        assert main(["train", "--run-dir", str(longer), "--resume", "--epochs", "4"]) == 130
    capsys.readouterr()
    assert main(["report", str(longer)]) == 0
    page = (longer / "report" / "report.md").read_text()
    assert "it is not finished, so there is no test score" in page
    assert "Gates are left out: they are of other weights than the run's" in page
    assert saccade(capsys, "eval", longer)[0] == 2
    assert main(["train", "--run-dir", str(longer), "--resume", "--epochs", "4"]) == 0
    assert "and for 4 after epoch 2" in read(longer / "result.json")["extended"]


def test_a_score_that_was_cut_short_says_so_and_has_every_class(tmp_path, capsys):
    """The test part is in class order: its first samples are of one class."""
    run = tmp_path / "run"
    words = ["--batch-size", 16, "--epochs", 1, "--run-dir", run]
    code, out, _ = saccade(capsys, "train", "digits-dta", *TINY, *words)
    assert code == 0
    said = "32 of 355 samples, spread over the whole set"
    assert f"CUT SHORT: {said}" in " ".join(out.split())
    assert read(run / "result.json")["cut_short"] == said
    card = read(run / "card.json")
    assert card["score"]["cut_short"] == said
    assert "license" not in card  # whose weights they are, their owner says
    code, out, _ = saccade(capsys, "eval", run)
    assert f"CUT SHORT: {said}" in " ".join(out.split())
    assert "of 355 samples\n" in out
    assert main(["report", str(run)]) == 0
    assert said in (run / "report" / "report.html").read_text()
    experiment = RunFolder(run).read_config()
    labels = torch.cat([labels for _, labels in build_loaders(experiment).test])
    assert labels.unique().tolist() == list(range(10))


def test_eval_scores_the_whole_test_part_of_the_saved_weights(run_dir, capsys):
    code, out, _ = saccade(capsys, "eval", run_dir)
    assert code == 0
    assert "of 355 samples" in out
    assert "class" in out
    code, out, _ = saccade(capsys, "eval", run_dir, "--steps", 3)
    assert code == 0
    assert "time steps           3" in out


def test_nothing_is_said_on_stderr_and_no_folder_is_left_elsewhere(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = saccade(capsys, "train", "digits-dta", *TINY, "--epochs", 1, "--mix", "cutmix", "--loss", "tet")
    assert (code, err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert len(list((tmp_path / "runs" / "digits-dta").iterdir())) == 1


def test_the_seed_decides(tmp_path):
    def weights(name, seed):
        words = ["train", "digits-dta", *TINY, "--epochs", "1", "--seed", str(seed), "--run-dir", str(tmp_path / name)]
        assert main(words) == 0
        return load_weights(tmp_path / name)[0].state_dict()

    first, second, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_a_diverging_run_stops_with_a_sentence_and_keeps_its_checkpoint(tmp_path, capsys, monkeypatch):
    def explode(step, total, warmup, name):
        return schedule.learning_rate_factor(step, total, warmup, name) * (1e30 if step >= 2 else 1)

    monkeypatch.setattr(learning, "learning_rate_factor", explode)
    words = [
        "--model-options",
        "output_neuron",
        "False",
        "--epochs",
        "3",
        "--optimizer",
        "sgd",
        "--run-dir",
        tmp_path / "r",
    ]
    code, _, err = saccade(capsys, "train", "digits-dta", *TINY, *words)
    assert code == 2
    assert "in epoch 2 of 3, so training stopped. The checkpoint after epoch 1 is kept." in err
    assert (tmp_path / "r" / "resume.ckpt").is_file()
    assert not (tmp_path / "r" / "result.json").exists()
