"""The networks by name, and the one function that builds them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from saccade.errors import unknown_name
from saccade.models.network import Classifier, SpikingNetwork
from saccade.models.written import OWN, build_written
from saccade.plugins import load_installed, run_file

N = TypeVar("N", bound=Callable[..., SpikingNetwork])


@dataclass(frozen=True)
class ModelEntry:
    """A network class, the arguments that make it this model, and the published values of those the user may set.

    `written` is the function that builds the network, where it was not a class that was registered.
    """

    cls: type[SpikingNetwork]
    preset: dict[str, Any]
    defaults: dict[str, Any]
    written: Callable[..., Classifier] | None = None

    def build(self, **options: Any) -> SpikingNetwork:
        """The network with these options and the preset."""
        if self.written is None:
            return self.cls(**self.preset, **options)
        return build_written(self.written, **self.preset, **options)

    def builders(self) -> Iterator[Callable[..., Any]]:
        """What takes the keywords of `create_model`; where two take the same, the first says what it is if left out."""
        if self.written is not None:
            yield from (self.written, build_written)
        classes = (cls for cls in self.cls.__mro__ if issubclass(cls, SpikingNetwork))
        yield from (vars(cls)["__init__"] for cls in classes if "__init__" in vars(cls))


_REGISTRY: dict[str, ModelEntry] = {}


def register_model(name: str, defaults: dict[str, Any] | None = None, **preset: Any) -> Callable[[N], N]:
    """Decorator: make a `SpikingNetwork` available under `name`, in `create_model`.

    It stands above a class, or above a function that returns a `Sequential`:

        @register_model("my_net")
        def my_net(*, num_classes: int, steps: int, in_channels: int) -> saccade.Sequential: ...

    `preset` are arguments that make it this model and cannot be set; `defaults` can.
    """

    def register(network: N) -> N:
        if name in _REGISTRY:
            raise ValueError(f"A model named {name!r} is already registered ({_REGISTRY[name].cls.__name__}).")
        is_class = isinstance(network, type)
        cls: Any = network if is_class else Classifier
        _REGISTRY[name] = ModelEntry(cls, preset, defaults or {}, None if is_class else network)  # type: ignore[arg-type]
        return network

    return register


def list_models() -> list[str]:
    """The names that `create_model` takes."""
    load_installed()
    return sorted(_REGISTRY)


def model_entry(name: str) -> ModelEntry:
    """The class and preset registered under `name`."""
    if name not in list_models():
        raise unknown_name("model", name, _REGISTRY)
    return _REGISTRY[name]


def model_defaults(name: str) -> dict[str, Any]:
    """Every keyword that `create_model(name, ...)` takes, those of its class first, and what each is if left out."""
    entry = model_entry(name)
    found: dict[str, Any] = {}
    for build in entry.builders():
        parameters = inspect.signature(build).parameters.values()
        for parameter in (p for p in parameters if p.kind is p.KEYWORD_ONLY):
            found.setdefault(parameter.name, parameter.default)
    if issubclass(entry.cls, Classifier):
        found["attention_at"] = None
    return {option: entry.defaults.get(option, value) for option, value in found.items() if option not in entry.preset}


def model_options(name: str) -> list[str]:
    """Every keyword that `create_model(name, ...)` takes: those of its class, then those of all networks."""
    return list(model_defaults(name))


def create_model(
    name: str | None = None, *, weights: Path | str | None = None, code: Path | str | None = None, **options: Any
) -> SpikingNetwork:
    """Build a network by name, or take a trained one.

        model = create_model("msresnet18", num_classes=10, steps=6, in_channels=3, attention="dta")
        logits = model(x)        # [B, C, H, W] or [T, B, C, H, W] -> [T, B, K]

        model = create_model("msresnet18", weights="digits-dta")      # all options from the card

    Args:
        name: one of `list_models()`; may be left out with `weights`, whose card names it.
        weights: trained weights: a name of `list_weights()`; the folder of a run, or any with weights.safetensors and
            card.json; a .safetensors file with its card beside it; or "hf:owner/repo" or
            "hf:owner/repo/NAME.safetensors" on the Hugging Face hub. The network is built as its card says and
            returned in evaluation mode: call `.train()` to train on. Options that are given too must be what the card
            has; `backend` is free. Nothing is unpickled.
        code: a file of your own that registers the network or its attention; it is run. Weights alone never run one
            that you have not named before.
        **options: those of `SpikingNetwork`, which all networks take (`num_classes`, `steps`, `in_channels`,
            `input_size`, `width`, `attention`, `attention_options`, `placement`, `backend`), the network's own, and for
            those that classify `attention_at`, the places of the gates where they are not the published ones: names or
            patterns of neurons, "all", "first:2", "last:2"; see `Classifier.put_gates`.

    Raises:
        ValueError: unknown name or option (with the nearest ones), a value that makes no sense, options that contradict
            the weights' card, or weights that are damaged.
        FileNotFoundError: weights that are not there or cannot be fetched.
    """
    if code is not None:
        run_file(code)
    if weights is not None:
        return _with_weights(weights, name, options)
    if name is None:
        raise ValueError(f"create_model needs the name of a network ({', '.join(list_models())}), or weights=...")
    entry = model_entry(name)
    known = model_options(name)
    options = _without_former(options)
    if options.get("attention") == OWN and entry.written is None:
        del options["attention"]
    for option in options:
        if option not in known:
            raise unknown_name("option", option, known, of=f"model {name!r}")
    options = {**entry.defaults, **options}
    model = _built(entry, options)
    model.created_with = {"name": name, "placement": None, **options}
    return model


def _built(entry: ModelEntry, options: dict[str, Any]) -> SpikingNetwork:
    """The network; one whose gates stand elsewhere than published is built without any, and gets them afterwards."""
    rest = dict(options)
    at = rest.pop("attention_at", None)
    if at is None:
        return entry.build(**rest)
    attention, given = rest.pop("attention", "none"), rest.pop("attention_options", None)
    placement = rest.pop("placement", None)
    model = entry.build(**rest)
    assert isinstance(model, Classifier)
    return model.put_gates(attention, at, placement, **(given or {}))


def _without_former(options: dict[str, Any]) -> dict[str, Any]:
    """Options as they are called today; cards and configurations of 0.1.0 have `attention_place`."""
    if "attention_place" not in options:
        return options
    places = {"auto": None, "stem": "stem_neuron", "blocks": "stages.*.neuron2"}
    rest = {key: value for key, value in options.items() if key != "attention_place"}
    return {**rest, "attention_at": places[options["attention_place"]]}


def _with_weights(weights: Path | str, name: str | None, options: dict[str, Any]) -> SpikingNetwork:
    from saccade.models.weights import load_weights  # which builds the network from its card, with this file

    if name is not None:
        model_entry(name)
    asked = {key: value for key, value in options.items() if key != "backend"}
    if name is not None:
        asked = {"name": name, **asked}
    return load_weights(weights, options.get("backend", "auto"), asked)[0]


def recreate_model(created_with: Mapping[str, Any]) -> SpikingNetwork:
    """A network like the one whose `created_with` this is, weights apart. JSON's lists for tuples will do.

    A network that was resized is built at its first length and resized again: some bottlenecks keep the width that
    the first length gave them.
    """
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in created_with.items()
    }
    resized = options.pop("resized_steps", None)
    model = create_model(**options)
    return model if resized is None else model.resize_steps(resized)
