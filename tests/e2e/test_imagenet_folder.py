"""The ImageNet recipe from a folder of JPEG files in ImageNet's layout."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from saccade.cli import main

CLASSES = ("n01440764", "n01443537")


@pytest.fixture
def imagenet(tmp_path):
    """Four pictures to train on and two to score, larger than what counts as small, each of its own size."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 2), ("val", 1)):
        for name in CLASSES:
            folder = tmp_path / "imagenet" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(256, size=(80 + 10 * i, 100, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}_{i}.JPEG")
    return tmp_path / "imagenet"


def test_the_imagenet_recipe_takes_two_steps_from_a_folder(imagenet, tmp_path):
    run = tmp_path / "run"
    small = ["--width", "0.06", "--image-size", "32", "--batch-size", "2", "--epochs", "1", "--workers", "0"]
    words = ["--data-root", str(imagenet), "--max-batches", "2", "--device", "cpu", "--run-dir", str(run)]
    assert main(["train", "imagenet-dta", *small, *words]) == 0
    result = json.loads((run / "result.json").read_text())
    assert (result["recipe"], result["attention"], result["test_samples"]) == ("imagenet-dta", "dta", 2)
    card = json.loads((run / "card.json").read_text())
    assert card["data"]["classes"] == list(CLASSES)
    assert (card["model"]["name"], card["model"]["steps"], card["model"]["num_classes"]) == ("msresnet34", 6, 2)
