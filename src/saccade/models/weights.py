"""Weights on disk: a safetensors file and, beside it, a card that says what network they belong to.

Nothing is unpickled. The card names the network and the arguments it was built with, so that `load_weights` rebuilds
it, and carries the hash of the weights, so that a card and weights of two runs are not taken for a pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saccade.atomic import replacing
from saccade.errors import require, unknown_name
from saccade.files import brief, read_object, sha256_of, write_object
from saccade.models.network import SpikingNetwork
from saccade.models.registry import OWN, list_models, model_defaults, recreate_model
from saccade.models.sources import locate
from saccade.nn.attention import attention_class, list_attention
from saccade.plugins import package_of, run_recorded
from saccade.runs import CARD

FORMAT = 1
#: the largest sizes that a card may ask for; raise them for a network of yours that is larger
LIMITS: dict[str, float] = {"steps": 4096, "resized_steps": 4096, "width": 64, "num_classes": 1e6, "in_channels": 1e5}


def save_weights(path: Path | str, model: SpikingNetwork, card: dict[str, Any]) -> None:
    """Write `model`'s weights to `path` and `card.json` beside it, each whole or not at all.

    Args:
        path: the weights' file, named something.safetensors.
        model: a network that `create_model` built; what it was built with goes on the card as "model".
        card: what else to say, as JSON: data, score, seed, commit, versions, license, ...

    Raises:
        ValueError: another suffix, or a network that `create_model` did not build.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"Weights are written as .safetensors, but the name given is {path.name!r}.")
    if "name" not in model.created_with:
        raise ValueError(
            f"This {type(model).__name__} was not built by create_model, so its card could not say how to build it "
            "again. Register its class with @saccade.models.register_model and build it with create_model; or save its "
            "state_dict alone."
        )
    tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in model.state_dict().items()}
    with replacing(path) as temporary:
        require("safetensors.torch", "train").save_file(tensors, temporary)
    packages = {package_of(type(module).__module__) for module in (model, *model.attention_modules().values())}
    built_with = {key: value for key, value in model.created_with.items() if key != "backend"}
    brought_by = {"packages": sorted(filter(None, packages))} if any(packages) else {}
    full = {"format": FORMAT, "model": built_with, **brought_by, **card, "sha256": sha256_of(path)}
    write_object(path.with_name(CARD), full)


def load_weights(
    source: Path | str, backend: str = "auto", asked: Mapping[str, Any] | None = None
) -> tuple[SpikingNetwork, dict[str, Any]]:
    """The network, built from its card and in evaluation mode, and the card.

    Args:
        source: a name of `list_weights()`, a folder such as a run's, a file, or "hf:owner/repo"; see `sources.locate`.
        backend: LIF kernel of the network; not a property of the weights, so not on the card.
        asked: arguments of `create_model` that the card must agree with, "name" among them.

    Raises:
        FileNotFoundError: weights or card are missing, or cannot be fetched.
        ValueError: a file is damaged, the two do not belong together, the weights do not fit the network or hold what
            no training leaves behind (NaN, infinity, negative variances), the card asks for sizes beyond `LIMITS` or
            for other weights, or says something else than was asked.
    """
    files = locate(source)
    card = read_card(files.card)
    _bring_code(card, files.card)
    check_asked(card["model"], asked or {}, source)
    _check_built_with(card["model"], files.card)
    announced = _shapes_in(files.weights)
    if card["sha256"] != sha256_of(files.weights):
        raise ValueError(f"{files.weights} is not the file that {files.card} describes (another sha256).")
    _check_shapes(_expected(card["model"], files.card), announced, files.weights)
    tensors = _read_tensors(files.weights)
    model = recreate_model({**card["model"], "backend": backend})
    _check_numbers(tensors, model.state_dict(), files.weights)
    model.load_state_dict(tensors)
    return model.eval(), card


def _bring_code(card: dict[str, Any], path: Path) -> None:
    """Have the code run that the card's network needs, if it is one that the user has named before."""
    model = card["model"]
    strange = [
        f"{kind} {name!r}"
        for kind, name, known in (
            ("network", model.get("name"), list_models()),
            ("attention", model.get("attention", "none"), list_attention()),
        )
        if name not in known
    ]
    if not strange:
        return
    code, packages = card.get("code"), card.get("packages")
    if isinstance(code, dict):
        run_recorded(str(code.get("file")), str(code.get("sha256")), f"{path} (for its {' and '.join(strange)})")
    elif packages:
        raise ValueError(
            f"{path} needs {' and '.join(strange)} of {', '.join(map(str, packages))}, which is not installed here."
        )


def weights_card(source: Path | str) -> dict[str, Any]:
    """What the card of trained weights says: network, data, score, seed, commit, versions, hardware, license.

    Args:
        source: a name of `list_weights()`, a folder, a file, or "hf:owner/repo"; see `sources.locate`.

    Raises:
        FileNotFoundError: weights or card are missing, or cannot be fetched.
        ValueError: an unknown name, or a damaged card.
    """
    return read_card(locate(source).card)


def check_asked(built_with: Mapping[str, Any], asked: Mapping[str, Any], source: Path | str) -> None:
    """ValueError unless everything that was asked for is what the weights' network was built with.

    Args:
        built_with: the card's "model". What it does not name has the network's default value.
        asked: arguments of `create_model`, "name" among them.
        source: named in the error.
    """
    defaults = model_defaults(built_with["name"])
    has = {**defaults, **built_with}
    has["steps"] = has.pop("resized_steps", has["steps"])
    own = has["attention"] == OWN
    published = None if own else attention_class(has["attention"]).published_placement
    has["placement"] = has["placement"] or published
    differing = []
    for key, value in asked.items():
        value = published if key == "placement" and value is None else value
        if key in has and _plain(value) != _plain(has[key]):
            differing.append(f"{key}={value!r} (the card has {_plain(has[key])!r})")
        elif key not in has and asked.get("name", has["name"]) == has["name"]:
            raise unknown_name("option", key, defaults, of=f"model {has['name']!r}")
    if differing:
        raise ValueError(
            f"The weights {str(source)!r} are of another network than was asked for: {', '.join(differing)}. Leave "
            "these out to take what the card has. For another T, load them and call resize_steps on the network."
        )


def read_card(path: Path) -> dict[str, Any]:
    """A card as a dict; ValueError if the file is damaged or of a newer format."""
    card = read_object(path)
    model = card.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("name"), str) or "sha256" not in card:
        raise ValueError(f"{path} is not a card of weights: it must name the model and the sha256 of the weights.")
    if card.get("format") != FORMAT:
        raise ValueError(
            f"{path} is of format {card.get('format')!r}, but this version reads format {FORMAT}. Update saccade."
        )
    card["model"].setdefault("placement", "spikes")  # the default of 0.1.0, which wrote only what it was told
    return card


def _check_built_with(built_with: Mapping[str, Any], path: Path) -> None:
    """ValueError for a card whose model asks for more than to be built: other weights, or sizes beyond all measure."""
    defaults = model_defaults(built_with["name"])
    known = [*defaults, "name", "resized_steps"]
    for option, value in built_with.items():
        if option not in known or option == "backend":
            raise unknown_name("option", option, known, of=f"the model on the card {path}")
        wanted = _kind(defaults.get(option, 1 if option == "resized_steps" else None))
        fitting = (wanted, "a whole number") if wanted == "a number" else (wanted,)
        one_each = isinstance(value, list) and option not in LIMITS  # some take a number, or one for every stage
        if wanted is not None and _kind(value) not in fitting and (not one_each or "list" in wanted):
            raise ValueError(f"The card {path} has {option}={str(value)[:40]!r}, which must be {wanted}.")
    for option, most in LIMITS.items():
        if not built_with.get(option, 0) <= most:
            raise ValueError(
                f"The card {path} has {option}={str(built_with[option])[:40]}, more than the limit of {most:g}. If you "
                f"trust it, raise saccade.models.weights.LIMITS[{option!r}]."
            )


def _kind(value: Any) -> str | None:
    """What an option is, told from its default value; None where that says nothing."""
    if isinstance(value, tuple | list):
        return f"a list of {len(value)} values"
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return kinds.get(type(value))


def _expected(built_with: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The network's tensors without their memory."""
    try:
        with torch.device("meta"):
            return recreate_model(built_with).state_dict()
    except (RuntimeError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"The card {path} describes a network that cannot be built ({brief(error)}).") from None


def _shapes_in(path: Path) -> dict[str, list[int]]:
    """What the header of a safetensors file announces; ValueError if there is none."""
    safetensors = require("safetensors", "train")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is truncated or not a safetensors file ({brief(error)}).") from None


def _check_shapes(wanted: Mapping[str, Tensor], found: dict[str, list[int]], path: Path) -> None:
    """Compare what the file's header announces with what the network needs, before anything is allocated."""
    missing, left_over = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or left_over:
        raise ValueError(
            f"{path} does not fit the network on its card: missing {_some(missing)}; left over {_some(left_over)}."
        )
    for name, shape in found.items():
        if shape != list(wanted[name].shape):
            raise ValueError(
                f"{path} does not fit the network on its card: {name} is {shape}, but the network needs "
                f"{list(wanted[name].shape)}."
            )


def _check_numbers(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    """ValueError for a tensor of another kind of number, or one that no training leaves behind."""
    for name, tensor in tensors.items():
        kind = wanted[name]
        if tensor.is_floating_point() != kind.is_floating_point() or (
            not kind.is_floating_point() and tensor.dtype != kind.dtype
        ):
            raise ValueError(f"{name} in {path} is of type {tensor.dtype}, but the network has {kind.dtype}.")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} in {path} holds numbers that are not finite (NaN or infinity).")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise ValueError(f"{name} in {path} is a variance, but holds negative numbers.")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    return require("safetensors.torch", "train").load_file(path)


def _plain(value: Any) -> Any:
    """A value as JSON gives it back; no options at all are the same as None."""
    if isinstance(value, Mapping):
        return dict(value) or None
    return list(value) if isinstance(value, tuple) else value


def _some(names: list[str]) -> str:
    return (", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")) or "nothing"
