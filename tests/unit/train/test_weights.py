"""Weights on disk: what comes back, and what is refused."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from saccade.models import SpikingNetwork, create_model
from saccade.models.weights import load_weights, save_weights


@pytest.fixture
def saved(tmp_path):
    model = create_model(
        "fashion_net",
        num_classes=3,
        steps=2,
        in_channels=2,
        input_size=(8, 8),
        width=0.05,
        attention="tcja",
        attention_options={"kernel_time": 1},
    )
    save_weights(tmp_path / "weights.safetensors", model, {"score": {"test_accuracy": 0.5}})
    return tmp_path, model


@pytest.mark.parametrize("source", ["folder", "file"])
def test_the_network_comes_back(saved, source):
    folder, model = saved
    again, card = load_weights(folder if source == "folder" else folder / "weights.safetensors")
    x = torch.randn(2, 4, 2, 8, 8)
    assert torch.equal(again(x), model.eval()(x))
    assert not again.training
    assert card["score"] == {"test_accuracy": 0.5}
    assert "backend" not in card["model"]
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "weights.safetensors"]


def test_a_resized_network_comes_back_at_its_length(saved):
    folder, model = saved
    save_weights(folder / "weights.safetensors", model.resize_steps(5), {})
    x = torch.randn(5, 1, 2, 8, 8)
    assert torch.equal(load_weights(folder)[0](x), model.eval()(x))


@pytest.mark.parametrize("damage", ["truncated", "text"])
def test_damaged_weights_are_refused(saved, damage):
    path = saved[0] / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:100] if damage == "truncated" else b"hello, world")
    with pytest.raises(ValueError, match=r"weights\.safetensors is truncated or not a safetensors file"):
        load_weights(saved[0])


def test_weights_of_another_run_are_refused(saved):
    path = saved[0] / "weights.safetensors"
    save_file({k: v + 1 for k, v in load_file(path).items()}, path)
    with pytest.raises(ValueError, match=r"is not the file that .*card\.json describes"):
        load_weights(saved[0])


def rewrite(folder, change):
    """Other tensors under a card that vouches for them."""
    path = folder / "weights.safetensors"
    save_file(change(load_file(path)), path)
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))


def test_missing_left_over_and_misshapen_tensors_are_named(saved):
    folder, _ = saved
    name = "convs.0.conv.weight"
    rewrite(folder, lambda t: {("other" if k == name else k): v for k, v in t.items()})
    with pytest.raises(ValueError, match=f"missing {name}; left over other"):
        load_weights(folder)
    rewrite(folder, lambda t: {(name if k == "other" else k): (v[:1] if k == "other" else v) for k, v in t.items()})
    with pytest.raises(ValueError, match=rf"{name} is \[1, 2, 3, 3\], but the network needs \[6, 2, 3, 3\]"):
        load_weights(folder)


@pytest.mark.parametrize(("text", "said"), [("{", "it is no JSON"), ("{}", "is not a card"), (None, "is of format 99")])
def test_damaged_and_newer_cards_are_refused(saved, text, said):
    card = saved[0] / "card.json"
    card.write_text(text or json.dumps({**json.loads(card.read_text()), "format": 99}))
    with pytest.raises(ValueError, match=said):
        load_weights(saved[0])


def test_a_missing_card_is_named(saved):
    (saved[0] / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match="two files in one folder"):
        load_weights(saved[0])


def test_the_name_says_safetensors(saved):
    with pytest.raises(ValueError, match=r"written as \.safetensors, but the name given is 'weights.pt'"):
        save_weights(saved[0] / "weights.pt", saved[1], {})


def test_a_network_that_nobody_could_build_again_gets_no_card(tmp_path):
    model = SpikingNetwork(steps=2)
    with pytest.raises(ValueError, match="was not built by create_model, so its card could not say how to build it"):
        save_weights(tmp_path / "weights.safetensors", model, {})
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_leads_elsewhere_or_asks_for_too_much_is_refused_before_anything_is_built(saved, monkeypatch):
    folder, _ = saved
    card = json.loads((folder / "card.json").read_text())
    monkeypatch.setattr("saccade.models.sources._download", lambda *_: pytest.fail("looked in the network"))
    for change, said in (
        ({"weights": "hf:someone/repo"}, "Unknown option 'weights' of the model on the card"),
        ({"code": "evil.py"}, "Unknown option 'code' of the model on the card"),
        ({"width": 1e4}, "width=10000.0, more than the limit of 64"),
        ({"steps": 10**5}, "steps=100000, more than the limit of 4096"),
        ({"resized_steps": 10**8}, "resized_steps=100000000, more than the limit"),
        ({"num_classes": 10**10}, "num_classes=10000000000, more than the limit"),
        ({"num_classes": 10**6}, "does not fit the network on its card"),
        ({"attention_options": {"kernel_time": 10**9}}, "does not fit the network on its card"),
        ({"steps": "many"}, "steps='many', which must be a whole number"),
        ({"resized_steps": 2.5}, "resized_steps='2.5', which must be a whole number"),
        ({"width": None}, "width='None', which must be a number"),
        ({"width": "64"}, "width='64', which must be a number"),
        ({"in_channels": True}, "in_channels='True', which must be a whole number"),
        ({"output_neuron": "no"}, "output_neuron='no', which must be true or false"),
        ({"input_size": "x"}, "input_size='x', which must be a list of 2 values"),
        ({"input_size": [8]}, r"input_size='\[8\]', which must be a list of 2 values"),
        ({"input_size": ["a", "b"]}, r"input_size is \(H, W\), two whole numbers"),
        ({"width": float("nan")}, "width=nan, more than the limit of 64"),
    ):
        (folder / "card.json").write_text(json.dumps({**card, "model": {**card["model"], **change}}))
        with pytest.raises(ValueError, match=said):
            load_weights(folder)


def test_bad_numbers_are_refused_by_name(saved):
    folder, _ = saved
    weight, variance = "convs.0.conv.weight", "convs.0.norm.running_var"
    whole = load_file(folder / "weights.safetensors")
    assert {weight, variance} <= whole.keys()
    for name, value, said in (
        (weight, torch.full_like(whole[weight], torch.nan), "not finite"),
        (weight, torch.full_like(whole[weight], torch.inf), "not finite"),
        (variance, -whole[variance], "is a variance, but holds negative numbers"),
        (weight, whole[weight].to(torch.int8), "is of type torch.int8"),
    ):
        rewrite(folder, lambda _, name=name, value=value: {**whole, name: value})
        with pytest.raises(ValueError, match=f"^{name} in .*{said}"):
            load_weights(folder)
