"""Trained weights on the Hugging Face hub: a repository of three files, which `create_model(weights="hf:...")` reads.

README.md is the hub's model card, written from card.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saccade.errors import require
from saccade.files import brief
from saccade.models.sources import HUB
from saccade.models.weights import read_card
from saccade.runs import CARD, WEIGHTS

README = "README.md"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
#: licences that the hub knows by these names; others are named as they are
LICENCES = (
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "cc0-1.0",
    "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "openrail", "unlicense",
)  # fmt: skip


def push(
    folder: Path, repository: str, licence: str, energy: Mapping[str, Any] | None = None, private: bool = False
) -> str:
    """Put weights.safetensors, card.json and a model card into a repository of the hub, and nothing else.

    The account is that of `hf auth login` or $HF_TOKEN.

    Args:
        folder: with weights.safetensors and card.json, such as a run's.
        repository: "owner/name"; made if it is not there.
        licence: under which the weights may be used, for the card, e.g. "apache-2.0".
        energy: what `EnergyReport.as_json` gives, for the model card.
        private: whether a repository that is made is private. The hub's own default is public, if an organisation has
            not said otherwise.

    Returns:
        The address of the repository.

    Raises:
        ValueError: a repository that is not written as one, or that the hub refuses.
        FileNotFoundError: a file is missing.
    """
    if not REPOSITORY.fullmatch(repository):
        raise ValueError(f"A repository of the hub is named owner/name, not {repository!r}.")
    hub = require("huggingface_hub", "hub")
    card = public_card(read_card(folder / CARD), licence)
    files = {
        README: model_card(card, repository, energy).encode(),
        CARD: (json.dumps(card, indent=1) + "\n").encode(),
        WEIGHTS: str(folder / WEIGHTS),
    }
    api = hub.HfApi()
    try:
        api.whoami()
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        additions = [hub.CommitOperationAdd(name, content) for name, content in files.items()]
        message = f"Weights of {card['model']['name']}, written by saccade"
        api.create_commit(repository, additions, commit_message=message)
    except Exception as error:  # whatever the client's HTTP library raises, too
        reason = brief(error)
        for secret in filter(None, [hub.get_token()]):
            reason = reason.replace(secret, "(token)")
        raise ValueError(
            f"{repository} could not be pushed to the Hugging Face hub ({type(error).__name__}: {reason}). Log in with "
            "`hf auth login`, or set HF_TOKEN to a token that may write there; and check the name and the network."
        ) from None
    return str(address)


def public_card(card: Mapping[str, Any], licence: str) -> dict[str, Any]:
    """A card for others: with the licence, and without the folder in which code of one's own lies."""
    public = {**card, "license": licence}
    if isinstance(card.get("code"), dict):
        public["code"] = {**card["code"], "file": Path(str(card["code"].get("file"))).name}
    return public


def model_card(card: Mapping[str, Any], repository: str, energy: Mapping[str, Any] | None = None) -> str:
    """The text of README.md: what the hub's page shows, and how the weights are loaded."""
    model, data = card["model"], card.get("data", {})
    rows = [
        ("network", f"`{model['name']}`, attention `{model.get('attention', 'none')}`"),
        ("time steps", str(model.get("resized_steps", model.get("steps", "")))),
        ("input", _input(model)),
        ("data", ": ".join(filter(None, (data.get("name"), data.get("note"))))),
        *_score_rows(card.get("score", {})),
        *_energy_rows(energy),
        ("recipe", str(card.get("recipe", ""))),
        ("seed", str(card.get("seed", ""))),
        ("commit of saccade", str(card.get("commit") or "")),
        ("versions", ", ".join(f"{name} {version}" for name, version in card.get("versions", {}).items())),
        ("hardware", str(card.get("hardware", ""))),
        ("SHA-256 of the weights", f"`{card['sha256']}`"),
        ("licence", card["license"]),
    ]
    parts = [
        f"---\n{_metadata(card, repository)}\n---",
        f"# {repository.partition('/')[2]}",
        "A spiking neural network with temporal-channel attention, trained with saccade.",
        "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {_cell(text)} |" for name, text in rows if text)]),
        "## How to load it",
        f"```python\nimport saccade\n\nmodel = saccade.create_model(weights={HUB + repository!r})\n{_use(card)}\n```",
        "Nothing is unpickled, and weights whose hash is not that on the card are refused.",
    ]
    if "code" in card or "packages" in card:
        needs = card["code"]["file"] if "code" in card else ", ".join(map(str, card["packages"]))
        parts.append(f"The network needs code that is not part of saccade: {needs}.")
    return "\n\n".join(parts) + "\n"


def _metadata(card: Mapping[str, Any], repository: str) -> str:
    hub = require("huggingface_hub", "hub")
    licence = card["license"].lower()
    known = {"license": licence} if licence in LICENCES else {"license": "other", "license_name": card["license"]}
    accuracy = card.get("score", {}).get("test_accuracy")
    scores: dict[str, Any] = {}
    if accuracy is not None:
        name = str(card.get("data", {}).get("name"))
        result = hub.EvalResult("image-classification", name, name, "accuracy", accuracy, dataset_split="test")
        scores = {"model_name": repository.partition("/")[2], "eval_results": [result]}
    tags = ["spiking-neural-network", "attention", str(card["model"].get("attention", "none"))]
    kind = "image-classification" if accuracy is not None else "unconditional-image-generation"
    data = hub.ModelCardData(library_name="saccade", pipeline_tag=kind, tags=tags, **known, **scores)
    return str(data.to_yaml()).strip()


def _use(card: Mapping[str, Any]) -> str:
    if "test_accuracy" not in card.get("score", {}):
        return "images, z = model.sample(16)  # [B, C, H, W] in (-1, 1)"
    return "logits = model(x)  # [B, C, H, W] or [T, B, C, H, W] -> [T, B, K]\nclasses = logits.mean(0).argmax(1)"


def _input(model: Mapping[str, Any]) -> str:
    size = model.get("input_size") or [model.get("image_size", "H")] * 2
    height, width = (size[0], size[-1]) if "H" not in size else ("H", "W")
    return f"{model.get('in_channels', 'C')} x {height} x {width} at every step"


def _score_rows(score: Mapping[str, Any]) -> list[tuple[str, str]]:
    cut = f"; CUT SHORT: {score['cut_short']}" if "cut_short" in score else ""
    if "test_accuracy" not in score:
        return [
            (name.replace("_", " "), f"{value:g}{cut}") for name, value in score.items() if isinstance(value, float)
        ]
    chosen = f" ({score['of']})" if "of" in score else ""
    return [("test accuracy", f"{score['test_accuracy']:.2%} of {score['samples']} samples{chosen}{cut}")]


def _energy_rows(energy: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if energy is None:
        return []
    nanojoule = f"{1e6 * energy['energy_mj']:,.1f} nJ per sample, counted on {energy['samples']} test samples"
    relu = f"the same network with ReLU at T=1: {1e6 * energy['relu_energy_mj']:,.1f} nJ"
    return [("energy of the arithmetic", f"{nanojoule} at {energy['table']['name']}, gates included; {relu}")]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
