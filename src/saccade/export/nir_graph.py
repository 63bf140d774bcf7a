"""NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024, arXiv 2311.14641): `saccade.export.nir`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saccade.atomic import replacing
from saccade.chain import Chain, DropoutLink, LayerLink, Link, NeuronLink, PoolLink, ResidualLink, ShapeLink
from saccade.chain.patterns import is_lif
from saccade.engines.inference.fold import folded, is_foldable
from saccade.errors import require, unknown_name
from saccade.export.frozen import FrozenGate, freeze_gates, leave_out_gates
from saccade.export.traced import private_copy
from saccade.nn.readout import VotingReadout
from saccade.nn.shape import SpaceMean

#: what to do with gates
GATES = ("refuse", "frozen", "left out")
#: the time step of NIR's equations, in seconds, that SpikingJelly and snnTorch assume
DT = 1e-4


def nir(
    model: nn.Module,
    path: Path | str | None = None,
    *,
    size: tuple[int, int] | None = None,
    gates: str = "refuse",
    calibration: Iterable[Tensor] = (),
    dt: float = DT,
) -> Any:
    """A network as a NIR graph, `nir.NIRGraph`; written to a file if a path is given.

        graph = saccade.export.nir(model, "net.nir", gates="frozen", calibration=[x])

    NIR's neurons are equations in continuous time; one step of ours is one Euler step of dt:

        LIF   tau dv/dt = (v_leak - v) + r I     with tau = dt / (1 - decay), r = gain / (1 - decay), v_leak = 0
        IF    dv/dt = r I                        with r = gain / dt, where decay = 1

    and after a spike v = v_reset, the hard reset. A neuron that fires at its threshold already is given the next
    smaller float as v_threshold. Batch norms are folded into their layers, learned time constants are constants, a
    global mean is an average pooling and a flattening, a vote a linear layer, the sum of a residual edges that meet.

    Args:
        model: a network in evaluation mode. It is left as it is.
        path: a file to write, named something.nir (HDF5).
        size: (H, W) of the input; None: the network's `input_size`.
        gates: NIR has no sigmoid and no product of two branches, so it cannot say a gate. "frozen" multiplies by the
            gates' means over the calibration inputs (`nir.Scale`), "left out" leaves them out: both change the network,
            score `saccade.export.freeze_gates(model, calibration)` or `leave_out_gates(model)`. "refuse": a ValueError.
        calibration: batches for "frozen".
        dt: seconds of a step; the reader has to be told the same.

    Raises:
        ValueError: what NIR cannot say: gates, soft resets, max pooling, products, neurons and modules of other kinds.
        MissingExtraError: the extra "export" is not installed.
    """
    if gates not in GATES:
        raise unknown_name("treatment of gates", gates, GATES)
    if path is not None and Path(path).suffix != ".nir":
        raise ValueError(f"NIR graphs are written as .nir, but the name given is {Path(path).name!r}.")
    library = require("nir", "export")
    network = private_copy(model, "NIR export")
    if gates == "frozen":
        network = freeze_gates(network, calibration)
    elif gates == "left out":
        network = leave_out_gates(network)
    found = size or network.input_size
    if found is None:
        raise ValueError(f"NIR graphs are of one size, and this {type(network).__name__} takes any. Say size=(H, W).")
    dtype = next(network.parameters()).dtype
    writer = _Writer(library, dt, dtype)
    x = torch.zeros(network.steps, 1, network.in_channels, *found, dtype=dtype)
    graph = writer.graph(network.chain, x)
    if path is not None:
        with replacing(Path(path)) as temporary:
            library.write(str(temporary), graph)
    return graph


class _Writer:
    """Nodes and edges; `ends` are the nodes whose sum is the sequence so far, `x` one of its shape."""

    def __init__(self, library: Any, dt: float, dtype: torch.dtype) -> None:
        self.nir, self.dt, self.dtype = library, dt, dtype
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def graph(self, chain: Chain, x: Tensor) -> Any:
        self.nodes["input"] = self.nir.Input({"input": _shape(x)})
        with torch.no_grad():
            ends, x = self.links(chain, ["input"], x)
        self.add("output", self.nir.Output({"output": _shape(x)}), ends)
        return self.nir.NIRGraph(self.nodes, self.edges, metadata={"dt": self.dt}, type_check=False)

    def add(self, name: str, node: Any, ends: list[str]) -> list[str]:
        # names are the network's, without the points that HDF5's readers split at
        name = name.replace(".", "_")
        assert name not in self.nodes
        self.nodes[name] = node
        self.edges += [(end, name) for end in ends]
        return [name]

    def links(self, chain: Chain, ends: list[str], x: Tensor) -> tuple[list[str], Tensor]:
        for number, link in enumerate(chain):
            name = f"{link.name}_{number}" if link.name.replace(".", "_") in self.nodes else link.name
            ends = self.link(link, name, ends, x)
            x = link(x)
        return ends, x

    def link(self, link: Link, name: str, ends: list[str], x: Tensor) -> list[str]:
        if isinstance(link, LayerLink):
            return self.add(name, self.layer(link, x), ends)
        if isinstance(link, NeuronLink):
            return self.neuron(link, name, ends, x)
        if isinstance(link, PoolLink):
            return self.pool(link, name, ends, x)
        if isinstance(link, ResidualLink):
            return self.residual(link, name, ends, x)
        y = link(x) if isinstance(link, DropoutLink | ShapeLink) else x
        if isinstance(link, DropoutLink) or isinstance(getattr(link, "module", None), nn.Identity):
            return ends
        if isinstance(link, ShapeLink) and y.shape == x.shape:
            return ends
        if isinstance(link, ShapeLink) and y.ndim == 3:
            return self.add(name, self.flatten(x), ends)
        raise _unsayable(link, "NIR has no such operation")

    def layer(self, link: LayerLink, x: Tensor) -> Any:
        core = link.core
        if not isinstance(core, nn.Linear) and (type(core) is not nn.Conv2d or core.padding_mode != "zeros"):
            raise _unsayable(link, "of layers NIR knows convolutions with zero padding, and linear ones")
        if link.norm is not None and not is_foldable(link.norm):
            raise _unsayable(link, f"its {type(link.norm).__name__} cannot be folded into it")
        weight, bias = folded(core, link.norm)
        if isinstance(core, nn.Linear):
            if bias is None:
                return self.nir.Linear(self.array(weight))
            return self.nir.Affine(self.array(weight), self.array(bias))
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        padding = core.padding if isinstance(core.padding, str) else tuple(core.padding)
        size = (int(x.shape[-2]), int(x.shape[-1]))
        return self.nir.Conv2d(
            size, self.array(weight), tuple(core.stride), padding, tuple(core.dilation), core.groups, self.array(bias)
        )

    def neuron(self, link: NeuronLink, name: str, ends: list[str], x: Tensor) -> list[str]:
        gate = link.gate
        if gate is not None and not isinstance(gate, FrozenGate):
            raise ValueError(
                f"NIR has no sigmoid and no product of two branches, so it cannot say {type(gate).__name__} at "
                f'{link.name}. Say gates="frozen" with calibration inputs, or gates="left out".'
            )
        if gate is not None and gate.rectify:
            raise _unsayable(link, f"{type(gate).__name__} rectifies what it gates, and NIR has no ReLU")
        if not is_lif(link.neuron):
            raise _unsayable(link, f"of neurons NIR knows LIF and IF, not {type(link.neuron).__name__}")
        if link.neuron.spec.reset != "hard":
            raise _unsayable(link, "NIR's neurons are reset to v_reset, and this one by subtraction")
        before = gate is not None and gate.placement == "current"
        if before:
            ends = self.scale(f"{name}_gate", gate, ends, x)
        ends = self.add(name, self.lif(link.neuron, _shape(x)), ends)
        return self.scale(f"{name}_gate", gate, ends, x) if gate is not None and not before else ends

    def lif(self, neuron: Any, shape: Any) -> Any:
        import numpy as np

        decay, gain = (float(value) for value in neuron._decay_and_gain())
        spec = neuron.spec
        numbers = {"v_threshold": spec.level(self.dtype), "v_reset": spec.reset_to}
        if decay == 1:
            kind, numbers = self.nir.IF, {"r": gain / self.dt, **numbers}
        else:
            numbers = {"tau": self.dt / (1 - decay), "r": gain / (1 - decay), "v_leak": 0.0, **numbers}
            kind = self.nir.LIF
        return kind(**{key: np.full(tuple(shape), value, np.float64) for key, value in numbers.items()})

    def scale(self, name: str, gate: Any, ends: list[str], x: Tensor) -> list[str]:
        value = gate.value[0, 0].expand(x.shape[2:])
        return self.add(name, self.nir.Scale(self.array(value)), ends)

    def pool(self, link: PoolLink, name: str, ends: list[str], x: Tensor) -> list[str]:
        import numpy as np

        pool = link.pool
        if isinstance(pool, VotingReadout):
            voters = pool.voters
            votes = torch.eye(x.shape[-1] // voters, dtype=torch.float64).repeat_interleave(voters, 1) / voters
            return self.add(name, self.nir.Linear(self.array(votes)), ends)
        H, W = x.shape[-2:]
        everything = isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size in (1, (1, 1))
        if isinstance(pool, SpaceMean) or everything:
            numbers = [np.array([H, W]), np.array([H, W]), np.array([0, 0])]
        elif isinstance(pool, nn.AvgPool2d):
            numbers = [np.array(nn.modules.utils._pair(n)) for n in (pool.kernel_size, pool.stride, pool.padding)]
            if pool.ceil_mode or pool.divisor_override or (numbers[2].any() and not pool.count_include_pad):
                raise _unsayable(link, "NIR's average pooling counts its padding, and its sizes are rounded down")
        else:
            raise _unsayable(link, "of poolings NIR knows averages and sums")
        ends = self.add(name, self.nir.AvgPool2d(*numbers), ends)
        if isinstance(pool, SpaceMean):
            return self.add(f"{name}_flat", self.flatten(x[..., :1, :1]), ends)
        return ends

    def flatten(self, x: Tensor) -> Any:
        return self.nir.Flatten({"input": _shape(x)}, 0, -1)

    def residual(self, link: ResidualLink, name: str, ends: list[str], x: Tensor) -> list[str]:
        import numpy as np

        main, y = self.links(link.main, ends, x)
        shortcut, _ = self.links(link.shortcut, ends, x)
        # a node of its own for the sum: two edges of the same sum could not be told apart further on
        return self.add(f"{name}_sum", self.nir.Scale(np.ones(tuple(_shape(y)))), [*main, *shortcut])

    def array(self, tensor: Tensor) -> Any:
        return tensor.to(self.dtype).numpy().copy()


def _unsayable(link: Link, why: str) -> ValueError:
    module = link.core if isinstance(link, LayerLink) else getattr(link, "pool", link.module)
    return ValueError(f"NIR cannot say {link.name} ({type(module).__name__}): {why}.")


def _shape(x: Tensor) -> Any:
    import numpy as np

    return np.array(x.shape[2:])
