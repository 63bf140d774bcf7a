"""saccade: temporal-channel attention for spiking neural networks.

The front door. Names are resolved on first use (PEP 562), so that `import saccade` costs nothing and the command line
can answer `--help` without waiting for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from saccade import export
    from saccade.engines import Residual, explain, stream
    from saccade.engines.inference import deploy
    from saccade.export import from_nir
    from saccade.models import (
        Sequential,
        create_model,
        from_spikingjelly,
        list_models,
        list_weights,
        load_official,
        weights_card,
    )
    from saccade.nn import IF, LIF, PLIF
    from saccade.nn.attention import create_attention, list_attention
    from saccade.probe import summary

_HOME = {
    "create_attention": "saccade.nn.attention",
    "create_model": "saccade.models",
    "deploy": "saccade.engines.inference",
    "explain": "saccade.engines",
    "from_nir": "saccade.export",
    "from_spikingjelly": "saccade.models",
    "IF": "saccade.nn",
    "LIF": "saccade.nn",
    "list_attention": "saccade.nn.attention",
    "list_models": "saccade.models",
    "list_weights": "saccade.models",
    "load_official": "saccade.models",
    "PLIF": "saccade.nn",
    "Residual": "saccade.engines",
    "Sequential": "saccade.models",
    "stream": "saccade.engines",
    "summary": "saccade.probe",
    "weights_card": "saccade.models",
}

__all__ = [  # noqa: RUF022  the order of the README
    "create_attention",
    "create_model",
    "list_attention",
    "list_models",
    "list_weights",
    "load_official",
    "weights_card",
    "Sequential",
    "Residual",
    "from_spikingjelly",
    "from_nir",
    "explain",
    "summary",
    "deploy",
    "stream",
    "export",
    "IF",
    "LIF",
    "PLIF",
]


def __getattr__(name: str) -> Any:
    if name == "export":
        return importlib.import_module("saccade.export")
    if name not in _HOME:
        raise AttributeError(f"module 'saccade' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "export"})
