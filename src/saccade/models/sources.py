"""Where trained weights are found: in the package, in a file or folder, on the Hugging Face hub.

Weights are two files: NAME.safetensors, and a card, which is NAME.json or else card.json in the same folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from saccade.errors import require, unknown_name
from saccade.runs import CARD, WEIGHTS

#: what ships with the package: NAME.safetensors, NAME.json and NAME.npz, a golden input and output
PRETRAINED = Path(__file__).parent / "pretrained"
HUB = "hf:"


class WeightFiles(NamedTuple):
    """The two files of trained weights."""

    weights: Path
    card: Path


def list_weights() -> list[str]:
    """The names of the trained weights in the package, for `create_model(weights=NAME)`."""
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def locate(source: Path | str) -> WeightFiles:
    """The files behind a name, a path or a repository; those of the hub are downloaded, once.

    Args:
        source: a name of `list_weights()`; a folder with weights.safetensors and card.json, such as a run's; a
            .safetensors file; "hf:owner/repo" or "hf:owner/repo/file". A name goes before a file of the same name.

    Raises:
        FileNotFoundError: a file is missing, or cannot be fetched.
        ValueError: a name that is not known, or a repository that is not written as one.
        MissingExtraError: the hub is asked for without huggingface-hub.
    """
    if isinstance(source, str) and source.startswith(HUB):
        return _from_hub(source)
    if isinstance(source, str) and source in list_weights():
        return _beside(PRETRAINED / f"{source}.safetensors")
    if isinstance(source, str) and not _is_path(source):
        raise ValueError(
            f"{unknown_name('weights', source, list_weights())} Files are given by their path, repositories of the "
            f"Hugging Face hub as {HUB}owner/repo."
        )
    path = Path(source) / WEIGHTS if Path(source).is_dir() else Path(source)
    files = _beside(path)
    for needed in files:
        if not needed.is_file():
            raise FileNotFoundError(
                f"{needed} does not exist. Weights come as two files in one folder, {WEIGHTS} and {CARD}; a training "
                f"run writes them when it ends."
            )
    return files


def _is_path(source: str) -> bool:
    return os.sep in source or "/" in source or source.endswith(".safetensors") or Path(source).exists()


def _beside(weights: Path) -> WeightFiles:
    own = weights.with_suffix(".json")
    return WeightFiles(weights, own if own.is_file() else weights.with_name(CARD))


def _from_hub(source: str) -> WeightFiles:
    owner, _, rest = source.removeprefix(HUB).partition("/")
    repository, _, file = rest.partition("/")
    file = file or WEIGHTS
    if not owner or not repository or not file.endswith(".safetensors"):
        raise ValueError(
            f"Weights on the Hugging Face hub are named {HUB}owner/repo, or {HUB}owner/repo/NAME.safetensors, not "
            f"{source!r}."
        )
    folder, slash, name = file.rpartition("/")
    card = CARD if name == WEIGHTS else name.removesuffix(".safetensors") + ".json"
    return WeightFiles(
        _download(source, f"{owner}/{repository}", file),
        _download(source, f"{owner}/{repository}", f"{folder}{slash}{card}"),
    )


def _download(source: str, repository: str, file: str) -> Path:
    hub = require("huggingface_hub", "hub")
    try:
        return Path(hub.hf_hub_download(repo_id=repository, filename=file))
    except (OSError, ValueError) as error:  # no such repository or file, no network and not in the cache, a bad name
        reason = str(error).strip().partition("\n")[0]
        raise FileNotFoundError(
            f"{source}: {file} could not be fetched from the Hugging Face hub ({type(error).__name__}: {reason}) Check "
            f"the name and the network; or bring the weights and their card here by hand, and give their folder."
        ) from None
