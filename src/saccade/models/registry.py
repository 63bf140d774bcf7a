"""The networks by name, and the one function that builds them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from saccade.errors import unknown_name
from saccade.models.network import SpikingNetwork

N = TypeVar("N", bound=type[SpikingNetwork])


@dataclass(frozen=True)
class ModelEntry:
    """A network class, the arguments that make it this model, and the published values of those the user may set."""

    cls: type[SpikingNetwork]
    preset: dict[str, Any]
    defaults: dict[str, Any]


_REGISTRY: dict[str, ModelEntry] = {}


def register_model(name: str, defaults: dict[str, Any] | None = None, **preset: Any) -> Callable[[N], N]:
    """Class decorator: make a `SpikingNetwork` available under `name`, in `create_model`.

    `preset` are arguments that make the class this model and cannot be set; `defaults` can.
    """

    def register(cls: N) -> N:
        if name in _REGISTRY:
            raise ValueError(f"A model named {name!r} is already registered ({_REGISTRY[name].cls.__name__}).")
        _REGISTRY[name] = ModelEntry(cls, preset, defaults or {})
        return cls

    return register


def list_models() -> list[str]:
    """The names that `create_model` takes."""
    return sorted(_REGISTRY)


def model_entry(name: str) -> ModelEntry:
    """The class and preset registered under `name`."""
    if name not in _REGISTRY:
        raise unknown_name("model", name, _REGISTRY)
    return _REGISTRY[name]


def model_options(name: str) -> list[str]:
    """Every keyword that `create_model(name, ...)` takes: those of its class, then those of all networks."""
    entry = model_entry(name)
    options: dict[str, None] = {}
    for cls in entry.cls.__mro__:
        if issubclass(cls, SpikingNetwork) and "__init__" in vars(cls):
            parameters = inspect.signature(cls.__init__).parameters.values()
            options.update({p.name: None for p in parameters if p.kind is p.KEYWORD_ONLY})
    return [option for option in options if option not in entry.preset]


def create_model(name: str, **options: Any) -> SpikingNetwork:
    """Build a network by name.

        model = create_model("msresnet18", num_classes=10, steps=6, in_channels=3, attention="dta")
        logits = model(x)        # [B, C, H, W] or [T, B, C, H, W] -> [T, B, K]

    Args:
        name: one of `list_models()`.
        **options: those of `SpikingNetwork`, which all networks take (`num_classes`, `steps`, `in_channels`,
            `input_size`, `width`, `attention`, `attention_options`, `placement`, `backend`), and the network's own.

    Raises:
        ValueError: unknown name or option (with the nearest ones), or a value that makes no sense.
    """
    entry = model_entry(name)
    known = model_options(name)
    for option in options:
        if option not in known:
            raise unknown_name(f"option of model {name!r}", option, known)
    options = {**entry.defaults, **options}
    model = entry.cls(**entry.preset, **options)
    model.created_with = {"name": name, **options}
    return model


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
