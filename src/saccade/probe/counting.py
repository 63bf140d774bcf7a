"""Counting the operations of a forward pass, layer by layer, as they are executed.

Every aten call is seen (`TorchDispatchMode`), so that a gate made of plain arithmetic is counted like one made of
layers. A call that is neither counted nor known to be free of arithmetic is reported by name: nothing is left out
silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from saccade.nn import LIF, Neuron
from saccade.nn.attention import Attention
from saccade.nn.self_attention import ProductOperations, TokenProduct
from saccade.probe.hooks import probed
from saccade.probe.rules import FREE, RULES, Call, Operations

#: what a layer's operations are for
KINDS = ("synapse", "attention", "neuron", "other")
#: calls that read a tensor's shape alone; their results are filled later
FACTORIES = ("empty", "zeros", "ones", "full", "new_")


@dataclass
class LayerOperations:
    """The operations of one layer for all samples."""

    layer: str
    #: "synapse" (convolutions and linear layers), "attention" (all inside a gate), "neuron", "other" (pools, sums)
    kind: str
    operations: Operations = field(default_factory=Operations)

    @property
    def inputs(self) -> str:
        """What its convolutions and linear layers read: "spikes", "real" values, "mixed", or "" if it has none."""
        o = self.operations
        if not o.connections:
            return ""
        return "spikes" if not o.macs else "mixed" if o.acs else "real"


@dataclass(frozen=True)
class Count:
    """All layers, in the order in which they first compute, and what could not be counted."""

    layers: list[LayerOperations]
    #: name of an aten call -> entries of its results
    not_counted: dict[str, int]
    #: the products of a self attention by the name of their layer, also counted in `layers`
    self_attention: dict[str, ProductOperations] = field(default_factory=dict)


def count_operations(model: nn.Module, x: Tensor | Iterable[Tensor], spiking: bool = True) -> Count:
    """Run a network on a batch, or on several one after the other, and count.

    - Convolutions and linear layers: with inputs that are all 0 or 1, one AC for each input 1 and weight it meets; with
      any other inputs one MAC for each input and weight, zeros included. Zeros of a padding do not count. A bias starts
      the sum and is free.
    - Batch norms follow a convolution or linear layer in all our networks, and are folded into it: free.
    - Neurons, at every step: one MAC (decay), or one addition without decay; one multiplication if the gain is not 1;
      one addition for a soft reset. Comparing with the threshold and setting to zero is free.
    - Gates and the rest: products, sums, means and functions entry by entry.

    Args:
        model: mode and hooks are as before afterwards.
        x: images [B, C, H, W] or a sequence [T, B, C, H, W], or several of them.
        spiking: False counts all as MACs, for networks without spikes.
    """
    counter = _Counter(model, spiking)
    with probed(model) as handles, torch.no_grad():
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(counter.enter(name)))
            handles.append(module.register_forward_hook(counter.leave, always_call=True))
            if spiking and isinstance(module, TokenProduct):
                handles.append(module.register_forward_hook(counter.attended(name)))
        for batch in [x] if isinstance(x, Tensor) else x:
            with counter:
                model(batch)
    return Count(list(counter.layers.values()), dict(counter.not_counted), counter.self_attention)


def neuron_operations(neuron: LIF, entries: int) -> Operations:
    """The operations of a neuron for so many entries of its output."""
    decay, gain = (float(v) for v in neuron._decay_and_gain())
    found = Operations(macs=entries) if decay not in (0.0, 1.0) else Operations(adds=entries if decay else 0)
    found.muls = entries if gain != 1 else 0
    found.adds += entries if neuron.spec.reset == "soft" else 0
    return found


class _Counter(TorchDispatchMode):
    def __init__(self, model: nn.Module, spiking: bool) -> None:
        super().__init__()
        self.spiking = spiking
        self.layers: dict[str, LayerOperations] = {}
        self.not_counted: Counter[str] = Counter()
        self.self_attention: dict[str, ProductOperations] = {}
        fixed = (*model.parameters(), *model.buffers())
        self._weights = {tensor.untyped_storage().data_ptr() for tensor in fixed}
        self._derived: list[Tensor] = []  # kept alive, so that no activation takes over an address
        self._stack: list[tuple[str, nn.Module]] = []
        self._padded: tuple[Tensor, list[int]] | None = None

    def enter(self, name: str) -> Any:
        def push(module: nn.Module, inputs: Any) -> None:
            self._stack.append((name, module))

        return push

    def attended(self, name: str) -> Any:
        def count(module: TokenProduct, inputs: Any, output: Tensor) -> None:
            with _disable_current_modes():  # the counting is not counted
                found = module.operations(inputs[0], output)
            before = self.self_attention.get(name, ProductOperations(0, 0))
            self.self_attention[name] = ProductOperations(*map(sum, zip(before, found, strict=True)))

        return count

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, LIF) and output is not None:
            self._add("neuron", neuron_operations(module, output.numel()))
        self._stack.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2].rstrip("_")
        if name == "constant_pad_nd":
            self._padded = (out, args[1])
        tensors = [x for x in args if isinstance(x, Tensor)]
        if tensors and all(map(self._is_weight, tensors)):
            self._derive(name, out)
        elif name not in FREE and not self._is_inside(LIF, _BatchNorm):
            self._count(name, args, out)
        return out

    def _count(self, name: str, args: Any, out: Any) -> None:
        if name not in RULES:
            self.not_counted[name] += out.numel() if isinstance(out, Tensor) else 1
            return
        pads = self._padded[1] if self._padded is not None and self._padded[0] is args[0] else ()
        found = RULES[name](Call(args, out, self.spiking, self._is_weight, pads))
        self._add(self._kind(found), found)

    def _kind(self, found: Operations) -> str:
        if self._is_inside(Neuron):
            return "neuron"
        return "attention" if self._is_inside(Attention) else "synapse" if found.connections else "other"

    def _add(self, kind: str, found: Operations) -> None:
        name = self._stack[-1][0] if self._stack else ""
        key = f"{kind}:{name}"
        self.layers.setdefault(key, LayerOperations(name, kind)).operations += found

    def _is_inside(self, *kinds: type[nn.Module]) -> bool:
        return any(isinstance(module, kinds) for _, module in self._stack)

    def _is_weight(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x.untyped_storage().data_ptr() in self._weights

    def _derive(self, name: str, out: Any) -> None:
        """What is computed from weights alone is a weight: it can be computed once, before any input comes."""
        if isinstance(out, Tensor) and not name.startswith(FACTORIES):
            self._derived.append(out)
            self._weights.add(out.untyped_storage().data_ptr())
