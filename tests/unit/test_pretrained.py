"""Trained weights: those in the package compute what they computed, and every source is found or refused by name."""

from __future__ import annotations

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import saccade
from saccade.errors import MissingExtraError
from saccade.models.sources import PRETRAINED
from saccade.models.weights import save_weights

NAMES = saccade.list_weights()


def test_weights_ship_with_the_package():
    assert "digits-dta" in NAMES
    for name in NAMES:
        for suffix in ("json", "npz"):
            assert (PRETRAINED / f"{name}.{suffix}").is_file()
        assert (PRETRAINED / f"{name}.safetensors").stat().st_size < 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_where_the_weights_come_from(name):
    card = saccade.weights_card(name)
    assert card["license"] == "Apache-2.0"
    assert len(card["commit"]) == 40  # a clean checkout
    assert 0.5 < card["score"]["test_accuracy"] <= 1
    assert {"recipe", "seed", "data", "versions", "hardware"} <= card.keys()


def golden(name: str, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Input in a number type, and the logits in float64."""
    with np.load(PRETRAINED / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    x = arrays["x"].to(kind) * arrays["scale"].to(kind) + arrays["offset"].to(kind)
    assert arrays["x"].dtype == torch.uint8
    return (x.transpose(0, 1) if arrays["temporal"] else x), arrays["logits"]


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_golden_output_in_float64(name):
    x, logits = golden(name, torch.float64)
    found = saccade.create_model(weights=name, backend="reference").double()(x)
    torch.testing.assert_close(found, logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_golden_output_in_float32(name):
    """The samples were chosen so that no spike depends on rounding (benchmarks/ship_weights.py): the logits differ by
    the rounding of sums alone: 4e-7 where they were made. One more spike in the last layer would change a step's logits
    by a weight of the head over the 16 places of the map, one in an earlier layer by more."""
    x, logits = golden(name, torch.float32)
    found = saccade.create_model(weights=name)(x)
    torch.testing.assert_close(found.double(), logits, rtol=0, atol=5e-5)
    assert torch.equal(found.mean(0).argmax(1), logits.mean(0).argmax(1))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_golden_output_would_notice_another_network(name):
    x, logits = golden(name, torch.float32)
    model = saccade.create_model(weights=name)
    model.stages[0][0].conv1.conv.weight.mul_(1.01)
    assert (model(x) - logits).abs().max() > 1e-3


def test_all_options_come_from_the_card():
    model = saccade.create_model("msresnet18", weights="digits-dta")
    assert (model.steps, model.num_classes, model.attention, model.width) == (5, 10, "dta", 0.125)
    assert not model.training
    again = saccade.create_model(
        "msresnet18", weights="digits-dta", steps=5, attention="dta", input_size=(16, 16), stem_neuron=True
    )
    assert torch.equal(again.head.weight, model.head.weight)
    assert saccade.create_model(weights="digits-dta", backend="reference").stem_neuron.neuron.backend == "reference"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("vggsnn", {}, r"name='vggsnn' \(the card has 'msresnet18'\)"),
        ("msresnet18", {"num_classes": 11}, r"num_classes=11 \(the card has 10\)"),
        ("msresnet18", {"steps": 4}, r"steps=4 \(the card has 5\).* call resize_steps"),
        ("msresnet18", {"attention": "tcja"}, r"attention='tcja' \(the card has 'dta'\)"),
        ("msresnet18", {"stem_neuron": False}, r"stem_neuron=False \(the card has True\)"),
        ("msresnet18", {"attention_options": {"hidden": 3}}, r"attention_options=\{'hidden': 3\} \(the card has"),
        ("msresnet18", {"num_clases": 10}, r"Unknown option 'num_clases' of model 'msresnet18'"),
    ],
)
def test_what_contradicts_the_card_is_named(name, options, said):
    with pytest.raises(ValueError, match=said):
        saccade.create_model(name, weights="digits-dta", **options)


def test_a_card_of_before_that_names_no_placement_means_the_spikes(tmp_path):
    model = saccade.create_model("msresnet18", steps=2, width=0.06, attention="ta")
    assert model.attention_modules()["stem_neuron"].placement == "current"
    save_weights(tmp_path / "weights.safetensors", model, {})
    assert saccade.create_model(weights=tmp_path).attention_modules()["stem_neuron"].placement == "current"
    assert saccade.create_model(weights=tmp_path, placement="current").attention == "ta"
    with pytest.raises(ValueError, match="placement='spikes'"):
        saccade.create_model(weights=tmp_path, placement="spikes")

    card = json.loads((tmp_path / "card.json").read_text())
    del card["model"]["placement"]  # 0.1.0 wrote only what it was told
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert saccade.create_model(weights=tmp_path).attention_modules()["stem_neuron"].placement == "spikes"


def test_the_length_of_a_resized_network_is_the_one_asked_for(tmp_path):
    model = saccade.create_model("msresnet18", steps=4, width=0.05, attention="tcja").resize_steps(3)
    save_weights(tmp_path / "weights.safetensors", model, {})
    assert saccade.create_model("msresnet18", weights=tmp_path, steps=3).steps == 3
    with pytest.raises(ValueError, match=r"steps=4 \(the card has 3\)"):
        saccade.create_model("msresnet18", weights=tmp_path, steps=4)


def test_a_name_or_weights_are_needed():
    with pytest.raises(ValueError, match=r"needs the name of a network \(.*msresnet18"):
        saccade.create_model()


def test_unknown_names_and_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown weights 'digits-dat'. Did you mean 'digits-dta'.*hf:owner/repo"):
        saccade.create_model(weights="digits-dat")
    with pytest.raises(FileNotFoundError, match="two files in one folder"):
        saccade.create_model(weights=str(tmp_path / "nowhere.safetensors"))


@pytest.mark.parametrize("form", ["folder", "file", "path", "own card"])
def test_files_are_found(form, tmp_path):
    shutil.copy(PRETRAINED / "digits-dta.safetensors", tmp_path / "weights.safetensors")
    shutil.copy(PRETRAINED / "digits-dta.json", tmp_path / "card.json")
    source = {
        "folder": str(tmp_path),
        "file": str(tmp_path / "weights.safetensors"),
        "path": tmp_path / "weights.safetensors",
        "own card": PRETRAINED / "digits-dta.safetensors",
    }[form]
    assert saccade.create_model(weights=source).attention == "dta"


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A cache of the hub that holds one repository, and no network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    repository = tmp_path / "models--someone--digits"
    snapshot = repository / "snapshots" / ("0" * 40)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "more").mkdir(parents=True)
    shutil.copy(PRETRAINED / "digits-dta.safetensors", snapshot / "weights.safetensors")
    shutil.copy(PRETRAINED / "digits-dta.json", snapshot / "card.json")
    for suffix in ("safetensors", "json"):
        shutil.copy(PRETRAINED / f"digits-dta.{suffix}", snapshot / "more" / f"narrow.{suffix}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("source", ["hf:someone/digits", "hf:someone/digits/more/narrow.safetensors"])
def test_a_repository_of_the_hub(hub_cache, source):
    assert saccade.create_model("msresnet18", weights=source, attention="dta").steps == 5
    assert saccade.weights_card(source) == json.loads((PRETRAINED / "digits-dta.json").read_text())


@pytest.mark.parametrize("source", ["hf:someone/else", "hf:someone/digits/other.safetensors", "hf:not valid/--"])
def test_a_repository_that_cannot_be_fetched(hub_cache, source):
    with pytest.raises(FileNotFoundError, match=rf"^{source}: .* could not be fetched .*, and give their folder"):
        saccade.create_model(weights=source)


def test_the_repository_and_the_file_are_what_is_downloaded(monkeypatch):
    asked = []

    def download(repo_id: str, filename: str) -> str:
        asked.append((repo_id, filename))
        return str(PRETRAINED / f"digits-dta{'.json' if filename.endswith('json') else '.safetensors'}")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download))
    assert saccade.create_model(weights="hf:a/b").attention == "dta"
    assert asked == [("a/b", "weights.safetensors"), ("a/b", "card.json")]


@pytest.mark.parametrize("source", ["hf:", "hf:a", "hf:a/", "hf:a/b/weights.bin"])
def test_a_repository_is_written_in_one_way(source):
    with pytest.raises(ValueError, match=r"are named hf:owner/repo, or hf:owner/repo/NAME.safetensors, not"):
        saccade.create_model(weights=source)


def test_the_hub_needs_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'saccade\[hub\]'"):
        saccade.create_model(weights="hf:a/b")
