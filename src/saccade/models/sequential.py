"""Networks of the user's own, said as a list of modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import nn

from saccade.chain import Chain, LayerLink, NeuronLink, OtherLink, members
from saccade.engines import Links
from saccade.models.network import Classifier
from saccade.models.spikingjelly import converted
from saccade.nn.attention import Attention
from saccade.nn.readout import VotingReadout
from saccade.tables import Rows


class Sequential(Classifier):
    """A network of one's own: modules called one after the other, [B, C, H, W] or [T, B, C, H, W] -> [T, B, K].

        net = saccade.Sequential(
            nn.Conv2d(2, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), saccade.LIF(), nn.MaxPool2d(2),
            saccade.LIF(), saccade.create_attention("dta", channels=64, steps=10),
            nn.Flatten(), nn.Linear(64 * 256, 11),
            steps=10, in_channels=2)

    Modules of torch know nothing of time: they are applied to every step at once, time folded into the batch (so a
    batch norm sees all T * B frames). All others are given the sequence [T, B, ...] itself: saccade's neurons, gates,
    `Residual`s, and modules of your own; wrap one of yours in `saccade.nn.TimeFolded` if it takes frames. A gate
    belongs to the neuron before it, is given the spikes, and the current if it asks for it; built with
    `placement="current"`, it multiplies the current before that neuron. SpikingJelly's layers, neurons and residual
    blocks are converted, on the same weights; `from_spikingjelly` converts whole networks.

    Everything that works for the networks of `create_model` works for this one: training engines, `deploy`, streams,
    checkpointing, energy, Grad-CAM, reports. `saccade.explain(net, x)` says which engine runs what.

    Args:
        modules: the modules, or one OrderedDict of them. They are named as in `nn.Sequential`.
        steps: T.
        in_channels: C of the input.
        num_classes: K; None: what the last linear layer (and the vote behind it) gives.
        input_size: (H, W) of the input, where it matters: for summaries and exports.

    Raises:
        ValueError: no modules, a gate that was built for another T or that needs the current of a neuron and stands
            behind none, or K that cannot be told.
    """

    def __init__(
        self,
        *modules: nn.Module | OrderedDict[str, nn.Module],
        steps: int,
        in_channels: int,
        num_classes: int | None = None,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        named = _named(modules)
        super().__init__(
            num_classes=1 if num_classes is None else num_classes,
            steps=steps,
            in_channels=in_channels,
            input_size=input_size,
        )
        #: what became of modules of SpikingJelly's, as rows that print as a table
        self.conversion: Rows[Any] = Rows()
        for name, module in named.items():
            self.add_module(name, converted(module, name, self.conversion))
        _check_gates(self.chain, steps)
        self.num_classes = _classes(self.chain) if num_classes is None else num_classes

    def links(self) -> Links:
        return members(self)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[nn.Module]:
        return (module for _, module in members(self))

    def __getitem__(self, index: int) -> nn.Module:
        return list(self)[index]


def _named(modules: tuple[Any, ...]) -> dict[str, nn.Module]:
    """The modules by name, as `nn.Sequential` names them."""
    if len(modules) == 1 and isinstance(modules[0], dict):
        named = dict(modules[0])
    else:
        named = {str(number): module for number, module in enumerate(modules)}
    for name, module in named.items():
        if not isinstance(module, nn.Module):
            raise ValueError(f"Sequential takes modules, but number {name} is {module!r} ({type(module).__name__}).")
    if not named:
        raise ValueError("Sequential needs at least one module.")
    return named


def _check_gates(chain: Chain, steps: int) -> None:
    links = list(chain.walk())
    for link in links:
        gate = link.gate if isinstance(link, NeuronLink) else link.module
        if isinstance(gate, Attention) and gate.fixed_steps and gate.steps != steps:
            raise ValueError(
                f"The gate at {link.name} ({type(gate).__name__}) was built for steps={gate.steps}, but the network "
                f"for steps={steps}. Build both with the same T, or call resize_steps({steps}) on the gate."
            )
        alone = isinstance(link, OtherLink) and isinstance(gate, Attention)
        if alone and gate.source == "current" and gate.placement == "spikes":
            raise ValueError(
                f"{type(gate).__name__} at {link.name} computes its gate from the current of the neuron whose spikes "
                "it multiplies, so it must stand right behind that neuron. Move it there, or build it with "
                'placement="current" to gate whatever it is given.'
            )


def _classes(chain: Chain) -> int:
    """K, from the end of the chain."""
    voters = 1
    for link in reversed(chain):
        if isinstance(link, LayerLink) and isinstance(link.core, nn.Linear):
            return int(link.core.out_features) // voters
        if isinstance(link.module, VotingReadout):
            voters *= link.module.voters
    raise ValueError("Sequential cannot tell the number of classes, since no linear layer ends it. Say num_classes=K.")
