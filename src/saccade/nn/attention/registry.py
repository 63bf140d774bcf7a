"""The attention modules by name, and the one function that builds them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from saccade.errors import unknown_name
from saccade.nn.attention.contract import Attention, NoAttention
from saccade.plugins import load_installed

_REGISTRY: dict[str, type[Attention]] = {"none": NoAttention}

A = TypeVar("A", bound=type[Attention])


def register_attention(name: str) -> Callable[[A], A]:
    """Class decorator: make an `Attention` available under `name`, in `create_attention` and in every model."""

    def register(cls: A) -> A:
        if name in _REGISTRY:
            raise ValueError(f"An attention named {name!r} is already registered ({_REGISTRY[name].__name__}).")
        _REGISTRY[name] = cls
        return cls

    return register


def list_attention() -> list[str]:
    """The names that `create_attention` and every model's `attention=` take: "none", then the others by alphabet."""
    load_installed()
    return sorted(_REGISTRY, key=lambda name: (name != "none", name))


def attention_class(name: str) -> type[Attention]:
    """The class registered under `name`."""
    if name not in list_attention():
        raise unknown_name("attention", name, _REGISTRY)
    return _REGISTRY[name]


def attention_options(name: str) -> list[str]:
    """The options of an attention besides channels and steps, e.g. kernel widths."""
    parameters = inspect.signature(attention_class(name).__init__).parameters
    return [p for p in parameters if p not in ("self", "channels", "steps")]


def create_attention(name: str, channels: int, steps: int, **options: Any) -> Attention:
    """Build an attention module by name.

    Args:
        name: one of `list_attention()`.
        channels: C of the sequences [T, B, C, H, W] that it will gate.
        steps: T.
        **options: the module's own, e.g. `kernel_time=4`; and for all `placement`: "spikes", "current", or None for
            the published one.

    Raises:
        ValueError: unknown name or option (with the nearest ones), or a size that makes no sense.
    """
    cls = attention_class(name)
    known = attention_options(name)
    for option in options:
        if option not in known:
            raise unknown_name("option", option, known, of=f"attention {name!r}")
    return cls(channels, steps, **options)
