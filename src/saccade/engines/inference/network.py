"""`deploy(model)`: a trained network in its inference form."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from saccade.engines.chained import Chained
from saccade.engines.inference.assemble import SLICES, Assembly, Row
from saccade.engines.inference.steps import Steps
from saccade.errors import unknown_name
from saccade.nn.attention import Attention
from saccade.tables import Rows


class Deployed(nn.Module):
    """A network in inference form, called like the network: [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].

    Made by `deploy`. It computes no gradients, cannot be trained, and is not saved: save the network's weights.
    """

    def __init__(self, door: Any, layers: Steps, precision: str, assembly: Assembly) -> None:
        super().__init__()
        self.door, self.layers = door, layers
        self.precision = precision
        self._rows, self._gates = assembly.rows, assembly.gates
        self.eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        sequence = self.door.as_sequence(x)
        if x.ndim == 4:
            sequence = sequence[:1]  # a static image: what comes before the first neuron is computed once
        return self.layers(sequence)

    def attention_modules(self) -> dict[str, Attention]:
        """The gates by the names of their neurons."""
        return self._gates

    def summary(self) -> Rows[Row]:
        """One row per layer and gate: (layer, input, precision, reason). Print it to see a table."""
        return self._rows

    def train(self, mode: bool = True) -> Deployed:
        if mode:
            raise ValueError("A deployed network cannot be trained. Train the network that it was made from.")
        super().train(False)
        return self


def deploy(model: nn.Module, precision: str = "float") -> Deployed:
    """The inference form of a network: folded, fused, and with its spikes convolved in integers if asked for.

    Batch norms are folded into the convolutions (in float64, rounded once), neurons write spikes over the currents or
    as bytes, everything is in channels-last order, the stem of a static image is computed once, and a gate that is one
    number per channel multiplies after the pooling. Layers that are fed spikes, or numbers of spikes, may be computed
    with int8 weights; all others stay in float.

    Args:
        model: a network of `create_model`, in evaluation mode. It is left as it is; later changes of its weights do
            not reach the deployed one.
        precision: "float" keeps every weight in the network's type. "exact" writes each weight that meets spikes as a
            sum of three int8 numbers, which is float32 to its last bits (6e-8 of the largest weight); "fast" takes
            two (1.6e-5) and "int8" one (3.9e-3), which changes the network: score it on your data.

    Returns:
        A module with the same call; `.summary()` says what was done, layer by layer, and why.

    Raises:
        ValueError: a network in training mode, one that deployment does not know, or one that is neither float32 nor
            float64; an unknown precision; integers asked for on a GPU or of a float64 network.
    """
    if precision not in SLICES:
        raise unknown_name("precision", precision, SLICES)
    if not isinstance(model, Chained) or not hasattr(model, "as_sequence"):
        generates = getattr(model, "kind", None) == "generator"
        why = "draws random spikes and decodes them" if generates else "says no links"
        raise ValueError(
            f"deploy takes a network that classifies, from saccade.create_model, saccade.Sequential or a Classifier of "
            f"your own; {type(model).__name__} {why}. Use it as it is, under torch.inference_mode()."
        )
    if type(model).forward is not Chained.forward:
        raise ValueError(
            f"{type(model).__name__} has a forward of its own, so its links do not say all that it does. Put what it "
            "adds into links(), or use the network as it is, under torch.inference_mode()."
        )
    if model.training:
        raise ValueError(
            "deploy takes a network in evaluation mode, but this one is in training mode, where batch norms follow "
            "the batch. Call model.eval() first, or deploy(model.eval())."
        )
    dtype, device = _type_and_device(model)
    if precision != "float" and (dtype, device.type) != (torch.float32, "cpu"):
        raise ValueError(
            f"precision={precision!r} computes on the CPU and stands in for float32, but the network is {dtype} on "
            f"{device}. Move it with model.cpu().float(), or use precision='float'."
        )
    private: Any = copy.deepcopy(model).requires_grad_(False)
    assembly = Assembly(private.steps, dtype, precision)
    layers = assembly.assemble(private.chain)
    return Deployed(_door(private), layers, precision, assembly)


def _type_and_device(model: nn.Module) -> tuple[torch.dtype, torch.device]:
    found = {(p.dtype, p.device) for p in model.parameters()}
    if len(found) != 1 or next(iter(found))[0] not in (torch.float32, torch.float64):
        given = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in found)) or "nothing"
        raise ValueError(
            f"deploy takes a network that is float32 or float64 on one device, but its parameters are {given}. "
            "Use model.float() and model.to(device)."
        )
    return next(iter(found))


def _door(model: Any) -> Any:
    """The network without its layers: what is left checks inputs and turns images into sequences."""
    door = copy.copy(model)
    for name in ("_modules", "_parameters", "_buffers"):
        door.__dict__[name] = {}
    door._seen = None
    return door
