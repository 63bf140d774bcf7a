"""From a NIR graph to a network: `saccade.from_nir(graph, steps)`."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saccade.engines import Residual
from saccade.errors import require
from saccade.export.nir_graph import DT
from saccade.models import Sequential
from saccade.nn.neuron import IF, LIF, Neuron


class Scale(nn.Module):
    """x * factor, [T, B, ...] -> same; the factor has the shape of one step of one sample."""

    looks_at_steps = "own"

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.factor = nn.Parameter(factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def from_nir(
    graph: Any, steps: int, *, dt: float | None = None, num_classes: int | None = None, dtype: Any = None
) -> Sequential:
    """A network from a NIR graph: a `saccade.Sequential` that trains, deploys and streams like any other.

    Understands linear and affine maps, convolutions in two dimensions, LIF and IF neurons with one set of constants a
    layer, average and sum pooling, flattening and scaling, one after the other or in residuals whose branches meet in
    a sum. One step is one Euler step: decay = 1 - dt / tau, gain = r dt / tau (IF: r dt); a neuron fires above
    v_threshold and is reset to v_reset.

    Args:
        graph: a `nir.NIRGraph`, or a file that holds one.
        steps: T.
        dt: seconds of a step; None: what the graph's metadata say, else 1e-4.
        num_classes: K; None: what the last linear map gives.
        dtype: of the weights; None: torch's default.

    Raises:
        ValueError: what no such network is: other nodes, loops, neurons that leak to another potential than 0 or differ
            within a layer.
        FileNotFoundError: no such file.
        MissingExtraError: the extra "export" is not installed.
    """
    library = require("nir", "export")
    if isinstance(graph, str | Path):
        if not Path(graph).is_file():
            raise FileNotFoundError(f"There is no NIR graph {graph}.")
        graph = library.read(str(graph))
    if dt is None:
        dt = float((graph.metadata or {}).get("dt", DT))
    reader = _Reader(library, graph, dt, dtype or torch.get_default_dtype())
    named = reader.network()
    channels, *size = (int(n) for n in reader.input_shape())
    if len(size) != 2:
        raise ValueError(f"Networks here take frames [C, H, W], but the graph's input is {[channels, *size]}.")
    return Sequential(
        OrderedDict(named),
        steps=steps,
        in_channels=channels,
        num_classes=num_classes,
        input_size=(size[0], size[1]),
    )


class _Reader:
    def __init__(self, library: Any, graph: Any, dt: float, dtype: torch.dtype) -> None:
        self.nir, self.nodes, self.dt, self.dtype = library, graph.nodes, dt, dtype
        edges = list(dict.fromkeys(graph.edges))
        self.after = {name: [b for a, b in edges if a == name] for name in self.nodes}
        self.before = {name: [a for a, b in edges if b == name] for name in self.nodes}

    def input_shape(self) -> Any:
        return self.nodes[self._only(self.nir.Input)].input_type["input"]

    def _only(self, kind: Any) -> str:
        found = [name for name, node in self.nodes.items() if isinstance(node, kind)]
        if len(found) != 1:
            raise ValueError(f"from_nir takes a graph with one {kind.__name__} node, but this one has {len(found)}.")
        return found[0]

    def network(self) -> list[tuple[str, nn.Module]]:
        modules, end = self.branch(self._only(self.nir.Input), set())
        if end is not None or self._only(self.nir.Output) not in self.before:
            raise ValueError(f"The branches of the NIR graph that meet at {end!r} do not begin at one node.")
        return modules

    def branch(self, name: str, seen: set[str]) -> tuple[list[tuple[str, nn.Module]], str | None]:
        """The modules from a node on, up to the end or to the node where it meets other branches."""
        modules: list[tuple[str, nn.Module]] = []
        while True:
            if name in seen:
                raise ValueError(f"The NIR graph has a loop at {name!r}; networks here feed forward.")
            seen = seen | {name}
            module = self.module(name)
            if module is not None:
                modules.append((name.replace(".", "_"), module))
            following = self.after[name]
            if not following:
                return modules, None
            if len(following) == 1:
                if len(self.before[following[0]]) > 1:
                    return modules, following[0]
                name = following[0]
                continue
            label, residual, name = self.residual(name, following, seen)
            modules.append((label, residual))

    def residual(self, name: str, following: list[str], seen: set[str]) -> tuple[str, nn.Module, str]:
        """The branches that begin behind a node, as a residual, and the node where they meet."""
        found = [([], n) if len(self.before[n]) > 1 else self.branch(n, seen) for n in following]
        ends = {end for _, end in found}
        if len(found) != 2 or len(ends) != 1 or None in ends:
            raise ValueError(f"The branches behind {name!r} of the NIR graph are no residual: two that meet in a sum.")
        (end,) = ends
        assert end is not None
        if len(self.before[end]) != 2:
            raise ValueError(f"{len(self.before[end])} branches meet at {end!r} of the NIR graph; a residual has two.")
        (shortcut, _), (main, _) = sorted(found, key=lambda branch: len(branch[0]))
        parts = [module for _, module in main]
        side = nn.Sequential(*(module for _, module in shortcut)) if shortcut else None
        if side is not None and any(isinstance(m, Neuron | Scale) for _, m in shortcut):
            raise ValueError(
                f"Both branches behind {name!r} of the NIR graph have neurons, which no residual here has."
            )
        return f"residual_{name.replace('.', '_')}", Residual(*parts, shortcut=side), end

    def module(self, name: str) -> nn.Module | None:
        """What computes a node; None for the graph's ends and for what changes nothing."""
        node, nir = self.nodes[name], self.nir
        if isinstance(node, nir.Input | nir.Output):
            return None
        if isinstance(node, nir.Affine | nir.Linear):
            bias = getattr(node, "bias", None)
            linear = nn.Linear(node.weight.shape[1], node.weight.shape[0], bias=bias is not None)
            return self.filled(linear, node.weight, bias)
        if isinstance(node, nir.Conv2d):
            out, per_group, *kernel = node.weight.shape
            conv = nn.Conv2d(
                per_group * int(node.groups),
                out,
                (kernel[0], kernel[1]),
                _pair(node.stride),
                node.padding if isinstance(node.padding, str) else _pair(node.padding),
                _pair(node.dilation),
                int(node.groups),
                bias=bool(node.bias.any()),
            )
            return self.filled(conv, node.weight, node.bias if node.bias.any() else None)
        if isinstance(node, nir.LIF | nir.IF):
            return self.neuron(name, node)
        if isinstance(node, nir.AvgPool2d | nir.SumPool2d):
            kernel, stride, padding = (_pair(n) for n in (node.kernel_size, node.stride, node.padding))
            divisor = 1 if isinstance(node, nir.SumPool2d) else None
            return nn.AvgPool2d(kernel, stride, padding, divisor_override=divisor)
        if isinstance(node, nir.Flatten):
            return nn.Flatten()
        if isinstance(node, nir.Scale):
            return None if (node.scale == 1).all() else Scale(self.tensor(node.scale))
        raise ValueError(f"from_nir does not know the node {name!r}, a {type(node).__name__}.")

    def filled(self, layer: Any, weight: Any, bias: Any) -> nn.Module:
        layer.weight = nn.Parameter(self.tensor(weight))
        if bias is not None:
            layer.bias = nn.Parameter(self.tensor(bias))
        return layer

    def neuron(self, name: str, node: Any) -> nn.Module:
        threshold, reset_to = self.one(name, node, "v_threshold"), self.one(name, node, "v_reset")
        r = self.one(name, node, "r")
        if isinstance(node, self.nir.IF):
            if abs(r * self.dt - 1) < 1e-9 and not reset_to:
                return IF(threshold)
            return LIF(1.0, r * self.dt, threshold, reset_to=reset_to)
        if self.one(name, node, "v_leak"):
            raise ValueError(f"The neurons {name!r} of the NIR graph leak to {node.v_leak.flat[0]}; ours leak to 0.")
        share = self.dt / self.one(name, node, "tau")
        # the quotients of numbers that were quotients: without the rounding of either
        return LIF(round(1 - share, 12), round(r * share, 12), threshold, reset_to=reset_to)

    def one(self, name: str, node: Any, field: str) -> float:
        values = getattr(node, field)
        if (values != values.flat[0]).any():
            raise ValueError(f"The neurons {name!r} of the NIR graph have several values of {field}; ours have one.")
        return float(values.flat[0])

    def tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(array).to(self.dtype)


def _pair(value: Any) -> tuple[int, int]:
    import numpy as np

    numbers = np.atleast_1d(np.asarray(value))
    return int(numbers[0]), int(numbers[-1])
