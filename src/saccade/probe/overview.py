"""`summary(model, x)`: a network layer by layer, with shapes, parameters, operations, firing rates and energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saccade.models.network import SpikingNetwork
from saccade.probe.costs import FLOAT32, CostTable
from saccade.probe.counting import count_operations
from saccade.probe.firing import LayerFiring, measure_firing
from saccade.probe.hooks import probed
from saccade.probe.parts import Part, parts_of
from saccade.tables import fold, format_table, html_table

NETWORK = "(network)"
#: columns of a terminal that the table fits
WIDTH = 80


@dataclass
class LayerSummary:
    """One layer of a network, which is a link of its chain, or a gate. Operations are per sample, of all steps."""

    #: name of the module in its network; "(network)" is what lies in no layer
    layer: str
    #: what it is, e.g. "Conv2d 3x3 BN"
    kind: str
    #: shape of its output at one step and sample, e.g. (C, H, W); None: it is not called as a module
    output: tuple[int, ...] | None = None
    parameters: int = 0
    macs: float = 0.0
    acs: float = 0.0
    #: of all its operations, also those that are neither MACs nor ACs
    energy_nj: float = 0.0
    #: spikes per neuron and step; None: it is no neuron, or never ran as a sequence
    rate: float | None = None
    #: the residual or module that it lies in, and in how many
    inside: str = ""
    depth: int = 0
    #: why nothing is known of what it does; "": it is known
    opaque: str = ""

    def cells(self) -> dict[str, str]:
        """A row of a table."""
        name = self.layer.removeprefix(f"{self.inside}.") if self.inside else self.layer
        return {
            "layer": "  " * self.depth + name,
            "kind": self.kind + (" *" if self.opaque else ""),
            "output": "" if self.output is None else "x".join(map(str, self.output)),
            "params": short(self.parameters),
            "MACs": short(self.macs),
            "ACs": short(self.acs),
            "rate": "" if self.rate is None else f"{self.rate:.3f}",
            "nJ": short(self.energy_nj),
        }


@dataclass(frozen=True)
class Summary:
    """The layers of a network in the order of its links; prints as a table of at most 80 columns."""

    network: str
    #: T, and the samples that were run
    steps: int
    samples: int
    #: shape of one step of a sample, e.g. (C, H, W)
    input: tuple[int, ...]
    rows: list[LayerSummary]
    #: spikes per neuron and step, of all neurons together; None: no neuron was seen
    rate: float | None
    table: CostTable
    #: name of a call of torch that no rule counts -> entries of its results
    not_counted: dict[str, int]

    @property
    def total(self) -> LayerSummary:
        """The sum of all layers."""
        return LayerSummary(
            "total",
            "",
            parameters=sum(row.parameters for row in self.rows),
            macs=sum(row.macs for row in self.rows),
            acs=sum(row.acs for row in self.rows),
            energy_nj=sum(row.energy_nj for row in self.rows),
            rate=self.rate,
        )

    def notes(self) -> list[str]:
        """What the numbers are, and what they leave out."""
        shape = "x".join(map(str, self.input))
        notes = [
            f"{self.network}, T={self.steps}, input {shape} at every step.",
            f"Operations and energy per sample, all steps, mean of {self.samples}; costs {self.table.name}, neurons, "
            "gates and pooling included. rate: spikes per neuron and step.",
        ]
        notes += [f"* {row.layer} ({row.kind}) is opaque: {row.opaque}." for row in self.rows if row.opaque]
        if self.not_counted:
            notes.append(f"NOT COUNTED, because no rule is known: {', '.join(self.not_counted)}.")
        return notes

    def __str__(self) -> str:
        rows, header = self._table()
        return "\n".join([format_table(rows, header, WIDTH), *(fold(note, WIDTH) for note in self.notes())])

    def _repr_html_(self) -> str:
        return html_table(*self._table(), note=" ".join(self.notes()))

    def _table(self) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
        found = [row.cells() for row in (*self.rows, self.total)]
        return [tuple(cells.values()) for cells in found], tuple(found[0])


def summary(model: SpikingNetwork, x: Tensor, table: CostTable = FLOAT32) -> Summary:
    """Run a network on x in evaluation mode, and say of every layer what it is, what it costs and how much it fires.

        print(saccade.summary(model, x))

    Operations are counted as by `count_operations`, from the spikes that x really makes. A module that is neither
    saccade's nor torch's is opaque: the calls of torch that it makes are counted, neurons of its own are not seen.

    Args:
        model: from `create_model`, `saccade.Sequential`, `from_spikingjelly`, or a network of your own. Mode, hooks
            and random numbers are as before afterwards.
        x: images [B, C, H, W] or a sequence [T, B, C, H, W]; the more samples, the steadier the rates.
        table: what an operation costs; see `probe.cost_table`.

    Raises:
        ValueError: a module that is no network of saccade's, or an input that it does not take.
    """
    if not isinstance(model, SpikingNetwork):
        raise ValueError(
            f"summary takes a network of saccade, which knows its time steps, not a {type(model).__name__}. Make one "
            "of its modules with saccade.Sequential, or of a network of SpikingJelly with saccade.from_spikingjelly."
        )
    T, B, *shape = _checked(model, x).shape
    parts = parts_of(model)
    with torch.random.fork_rng():
        firing, outputs = _run(model, x, parts)
        count = count_operations(model, x)
    rates = {layer.layer: layer.rate for layer in firing}
    rows = [LayerSummary(p.name, p.kind, _shape(outputs.get(p.module), T, B), rate=rates.get(p.name)) for p in parts]
    for row, part in zip(rows, parts, strict=True):
        row.inside, row.depth, row.opaque = part.inside, part.depth, part.opaque
    network, of = _owners(model, parts, rows)
    for layer in count.layers:
        row = of[layer.layer]
        row.macs += layer.operations.macs / B
        row.acs += layer.operations.acs / B
        row.energy_nj += table.energy_pj(layer.operations) / B * 1e-3
    for name, parameter in model.named_parameters():
        of[name.rpartition(".")[0]].parameters += parameter.numel()
    if network.parameters or network.energy_nj:
        rows.append(network)
    places = sum(int(layer.step_places.sum()) for layer in firing)
    rate = sum(int(layer.step_spikes.sum()) for layer in firing) / places if places else None
    name = model.created_with.get("name", type(model).__name__)
    return Summary(name, T, B, tuple(shape), rows, rate, table, count.not_counted)


def _checked(model: SpikingNetwork, x: Tensor) -> Tensor:
    """The sequence [T, B, C, H, W] that the network makes of x, or a ValueError."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        given = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise ValueError(f"summary takes images or frames as floating point numbers, not {given}: call x.float().")
    sequence = model.as_sequence(x)
    if not sequence.numel():
        raise ValueError(f"summary needs at least one sample to run, but got {list(x.shape)}.")
    return sequence


def _run(model: SpikingNetwork, x: Tensor, parts: list[Part]) -> tuple[list[LayerFiring], dict[nn.Module, Tensor]]:
    """What fires, and the first output of every part."""
    outputs: dict[nn.Module, Tensor] = {}
    entered: list[Part] = []

    def left(module: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs.setdefault(module, output)

    with probed(model) as handles:
        for part in parts:
            handles.append(part.module.register_forward_pre_hook(lambda m, i, part=part: entered.append(part)))
            handles.append(part.module.register_forward_hook(left))
        try:
            return measure_firing(model, [x]), outputs
        except (RuntimeError, IndexError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            at = f" at {entered[-1].name} ({entered[-1].kind})" if entered else ""
            first = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"The network does not take an input {list(x.shape)} of {x.dtype} on {x.device}{at}: {first} Give it "
                "frames of the size, type and device that it was built for."
            ) from None


def _owners(
    model: nn.Module, parts: list[Part], rows: list[LayerSummary]
) -> tuple[LayerSummary, dict[str, LayerSummary]]:
    """A row for what lies in no part, and the row of every module by name."""
    network = LayerSummary(NETWORK, "")
    by_module: dict[nn.Module, LayerSummary] = {}
    for part, row in zip(parts, rows, strict=True):
        by_module.update((module, row) for root in part.owned for module in root.modules())
    return network, {name: by_module.get(module, network) for name, module in model.named_modules()}


def _shape(output: object, T: int, B: int) -> tuple[int, ...] | None:
    """Of one step and sample; time may be folded into the batch, or absent."""
    if not isinstance(output, Tensor):
        return None
    shape = tuple(output.shape)
    if shape[:2] == (T, B):
        return shape[2:]
    return shape[1:] if shape[:1] in ((T * B,), (B,)) else shape


def short(number: float) -> str:
    """1234567 -> 1.23M: three digits that count; nothing for 0."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            return f"{float(f'{number / size:.3g}'):g}{unit}"
    return f"{number:.3g}" if number else ""
