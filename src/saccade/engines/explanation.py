"""`explain(model, x)`: which engine runs which links, and why not a faster one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from saccade.chain import LayerLink, Link, NeuronLink, ResidualLink
from saccade.chain.patterns import has_global_hooks
from saccade.chain.spikingjelly import Kept
from saccade.engines import cpu, triton
from saccade.engines.chained import Chained
from saccade.engines.recompute import on_copies
from saccade.engines.record import Ran, recorded
from saccade.ops.plumbing import bfloat
from saccade.tables import Rows


class Explanation(NamedTuple):
    """A link, what it is, the engine that runs it, and why that is not a faster one ("" if it is)."""

    link: str
    kind: str
    engine: str
    reason: str


def explain(model: Chained, x: Tensor) -> Rows[Explanation]:
    """Run a network once on x, in the mode that it is in, and say which engine took which links.

        print(saccade.explain(model, x))

    Weights, running statistics and random numbers stay as they are. A residual that no engine takes whole is followed
    by its parts.

    Args:
        model: from `create_model`, `saccade.Sequential`, or a `Classifier` of your own.
        x: as the network takes it. What an engine takes depends on its type, device and size.

    Returns:
        Rows of (link, kind, engine, reason), which print as a table, and what the processor has for bfloat16.

    Raises:
        ValueError: a model that says no links.
    """
    if not isinstance(model, Chained):
        raise ValueError(
            f"explain takes a network that says its links, but {type(model).__name__} does not. Take one from "
            "saccade.create_model, saccade.Sequential, or a Classifier of your own."
        )
    with recorded() as found, torch.random.fork_rng(), torch.no_grad(), on_copies(model):
        model(x)
    rows = [Explanation(link.name, link.kind, ran.engine, _reason(ran, link)) for ran in found for link in ran.links]
    return Rows(rows, _note() if x.device.type == "cpu" else "")


def _note() -> str:
    """Whether bfloat16 is, or would be, fast here."""
    units = bfloat.units()
    if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16:
        return f"in bfloat16, multiplied by {units}" if units else "in bfloat16, for which this processor has no units"
    return f"this processor multiplies bfloat16 ({units}): faster under torch.autocast" if units else ""


def _reason(ran: Ran, link: Link) -> str:
    if isinstance(link.module, Kept):
        return f"kept as it is: {link.module.reason}"
    if ran.engine != "reference" or not isinstance(link, LayerLink | NeuronLink | ResidualLink):
        return ""
    engine = triton if ran.x.device.type == "cuda" else cpu
    if has_global_hooks():
        return "a hook waits for every module"
    found = engine.refuses(ran.x) or engine.objection(link)
    if not found and engine is cpu and cpu.too_small((link,), ran.x):
        return "so little work is trained faster module by module"
    return found or "nothing beside it to fuse it with"
