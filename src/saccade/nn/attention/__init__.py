"""Attention modules, one file per paper, one contract, one factory.

`create_attention(name, channels, steps, **options)` builds any of them; `list_attention()` says which there are.
Register your own with `@register_attention("name")` and every model takes it by that name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from saccade.errors import unknown_name
from saccade.nn.attention.cbam import CBAM
from saccade.nn.attention.contract import Attention, GatedNeuron, NoAttention, ScoreAttention
from saccade.nn.attention.dta import DTA, TNA, TXA
from saccade.nn.attention.eca import ECA
from saccade.nn.attention.fsta import FSTA
from saccade.nn.attention.gac import GAC
from saccade.nn.attention.masnn import CA, CSA, SA, TA, TCA, TCSA, TSA
from saccade.nn.attention.qk import QK
from saccade.nn.attention.se import SE
from saccade.nn.attention.stca import STCA
from saccade.nn.attention.stsc import STSC
from saccade.nn.attention.tasnn import TASNN
from saccade.nn.attention.tcja import CLA, TCJA, TLA
from saccade.plugins import load_installed

__all__ = [
    "CA",
    "CBAM",
    "CLA",
    "CSA",
    "DTA",
    "ECA",
    "FSTA",
    "GAC",
    "QK",
    "SA",
    "SE",
    "STCA",
    "STSC",
    "TA",
    "TASNN",
    "TCA",
    "TCJA",
    "TCSA",
    "TLA",
    "TNA",
    "TSA",
    "TXA",
    "Attention",
    "GatedNeuron",
    "NoAttention",
    "ScoreAttention",
    "attention_options",
    "create_attention",
    "list_attention",
    "register_attention",
]

_REGISTRY: dict[str, type[Attention]] = {
    "none": NoAttention,
    "tla": TLA,
    "cla": CLA,
    "tcja": TCJA,
    "txa": TXA,
    "tna": TNA,
    "dta": DTA,
    "ta": TA,
    "ca": CA,
    "sa": SA,
    "tca": TCA,
    "tsa": TSA,
    "csa": CSA,
    "tcsa": TCSA,
    "tasnn": TASNN,
    "gac": GAC,
    "fsta": FSTA,
    "stca": STCA,
    "stsc": STSC,
    "qk": QK,
    "se": SE,
    "eca": ECA,
    "cbam": CBAM,
}

A = TypeVar("A", bound=type[Attention])


def register_attention(name: str) -> Callable[[A], A]:
    """Class decorator: make your own `Attention` available under `name`, in `create_attention` and in every model."""

    def register(cls: A) -> A:
        if name in _REGISTRY:
            raise ValueError(f"An attention named {name!r} is already registered ({_REGISTRY[name].__name__}).")
        _REGISTRY[name] = cls
        return cls

    return register


def list_attention() -> list[str]:
    """The names that `create_attention` and every model's `attention=` take."""
    load_installed()
    return list(_REGISTRY)


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
