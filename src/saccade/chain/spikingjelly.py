"""Layers and neurons of SpikingJelly 2 as torch's and saccade's own, on the same parameters.

    Converter(sequences=True).convert("conv", layer.Conv2d(2, 8, 3, step_mode="m"))    # an nn.Conv2d
    Converter(sequences=True).convert("lif", neuron.LIFNode(tau=2.0))                  # a saccade.nn.LIF

What is known is known by its very class: anything derived from it may do something else. What is not known is `Kept`:
called as SpikingJelly would call it, from rest.

SpikingJelly itself is imported only where a network made of it is at hand.
"""

from __future__ import annotations

import copy
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from saccade.chain.build import members
from saccade.chain.patterns import has_hooks
from saccade.nn import Surrogate
from saccade.nn.neuron import IF, LIF, PLIF
from saccade.nn.readout import VotingReadout
from saccade.nn.shape import SequenceDropout

_SAME = """
    Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Linear Flatten Upsample
    BatchNorm1d BatchNorm2d BatchNorm3d GroupNorm
    MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d
"""
#: SpikingJelly's layers that are torch's layer of the same name, with time folded into the batch
AS_IN_TORCH = frozenset(_SAME.split())
#: torch's own modules that do the same to a sequence as to every frame of it
TIMELESS = (nn.Linear, nn.LayerNorm, nn.Identity, nn.Dropout, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)


class Conversion(NamedTuple):
    """A module of a SpikingJelly network, what it became, and why it was kept or what is different."""

    layer: str
    spikingjelly: str
    saccade: str
    reason: str


class Kept(nn.Module):
    """A module that has no form in saccade, called as SpikingJelly calls it: [T, B, ...] -> [T, B, ...].

    What SpikingJelly's modules remember is forgotten before every sequence, as `functional.reset_net` does it, and
    after it, so that no graph stays behind.

    Args:
        module: the module.
        stepwise: it takes one step after the other (step mode "s"), not a sequence.
        reason: why it was kept.
    """

    def __init__(self, module: nn.Module, stepwise: bool, reason: str) -> None:
        super().__init__()
        self.module, self.stepwise, self.reason = module, stepwise, reason

    @property
    def remembers(self) -> bool:
        """Whether a step depends on those before it."""
        return any(map(_has_memory, self.module.modules()))

    @property
    def looks_at_steps(self) -> str:
        """What a stream asks: "own" if a step needs no other."""
        return "all" if self.remembers else "own"

    def forward(self, x: Tensor) -> Tensor:
        parts: list[Any] = list(self.module.modules())
        for module in parts:
            if callable(getattr(module, "reset", None)):
                module.reset()
        y = torch.stack([self.module(x_t) for x_t in x]) if self.stepwise else self.module(x)
        for memory in filter(_has_memory, parts):
            memory._memories.update(copy.deepcopy(memory._memories_rv))
        return y

    def extra_repr(self) -> str:
        return f"kept as it is: {self.reason}"


def is_loaded() -> bool:
    """Whether SpikingJelly has been imported: if not, no module can be one of its own."""
    return "spikingjelly.activation_based" in sys.modules


def converted(module: nn.Module) -> nn.Module:
    """A module for a saccade network: SpikingJelly's layers and neurons converted, all others as they are."""
    return Converter(sequences=None).convert("", module) if is_loaded() else module


class Converter:
    """Converts modules, and writes down in `rows` what became of them.

    Args:
        sequences: whether torch's and foreign modules are given sequences [T, B, ...], as in networks of step mode
            "m", or frames. None: they follow saccade's conventions already, and stay what they are.
        blocks: for modules that are more than one layer, what builds them: the converter, the name and the module ->
            the new module, or None.
    """

    def __init__(
        self,
        sequences: bool | None,
        blocks: Callable[[Converter, str, Any], nn.Module | None] = lambda *_: None,
    ) -> None:
        self.sequences = sequences
        self.blocks = blocks
        self.rows: list[Conversion] = []

    def convert(self, name: str, module: nn.Module, frames: bool | None = None) -> nn.Module:
        """The module in saccade's terms; itself where it is in them already.

        Args:
            name: in its network.
            frames: whether a container around it gives it frames; None: as the network does.
        """
        frames = (self.sequences is False) if frames is None else frames
        kind = type(module)
        if isinstance(module, Kept) or kind.__module__.partition(".")[0] == "saccade":
            return module
        if has_hooks(module):
            return self._foreign(name, module, frames, "a hook waits for it")
        if kind.__module__.startswith("torch.nn.") and kind is not nn.Sequential:
            return self._of_torch(name, module, frames)
        container = self._container(name, module, frames) or self.blocks(self, name, module)
        if container is not None:
            return container
        made = _layer(module) if kind.__module__.startswith("spikingjelly.") else "not a layer of SpikingJelly's"
        if isinstance(made, str):
            return self._foreign(name, module, frames, made)
        self.rows.append(Conversion(name, kind.__name__, type(made).__name__, _difference(module)))
        return made.train(module.training)

    def children(self, name: str, module: nn.Module, frames: bool | None = None) -> OrderedDict[str, nn.Module]:
        """All children, converted, by their names."""
        below = f"{name}." if name else ""
        return OrderedDict((key, self.convert(below + key, child, frames)) for key, child in members(module))

    def _container(self, name: str, module: nn.Module, frames: bool) -> nn.Module | None:
        """What calls its children one after the other, if these can be converted one by one."""
        if type(module) is nn.Sequential:
            if self.sequences is None and not any(map(_is_of_spikingjelly, module.modules())):
                return module
            return in_mode_of(module, nn.Sequential(self.children(name, module, frames)))
        if _gives_frames(module):
            return in_mode_of(module, nn.Sequential(self.children(name, module, True)))
        return None

    def _of_torch(self, name: str, module: nn.Module, frames: bool) -> nn.Module:
        """A module of torch's own, which saccade gives frames."""
        if self.sequences is None:
            return module
        if frames or isinstance(module, TIMELESS):
            return _twin(module, type(module))
        if type(module) is nn.Flatten and module.start_dim >= 2:
            return nn.Flatten(module.start_dim - 1, module.end_dim - (module.end_dim > 0))
        return self._foreign(name, module, frames, "step mode m gives it the sequence")

    def _foreign(self, name: str, module: nn.Module, frames: bool, reason: str) -> nn.Module:
        """A module that is kept, with what it remembers held apart from the one it comes from."""
        if self.sequences is None and not any(map(_is_of_spikingjelly, module.modules())):
            return module
        self.rows.append(Conversion(name, type(module).__name__, "kept as it is", reason))
        mode = step_mode(module)
        stepwise = frames if mode is None else mode == "s"
        return Kept(_apart(module), stepwise, reason).train(module.training)


def _layer(module: Any) -> nn.Module | str:
    """What a layer or neuron of SpikingJelly is in saccade, or why it is nothing."""
    from spikingjelly.activation_based import layer, neuron

    kind = type(module)
    if kind.__name__ in AS_IN_TORCH and kind is getattr(layer, kind.__name__, None):
        return _twin(module, getattr(nn, kind.__name__))
    if kind is layer.Dropout or kind is layer.Dropout2d:
        return SequenceDropout(module.p, channels=kind is layer.Dropout2d)
    if kind is layer.VotingLayer:
        return VotingReadout(module.voting_size)
    if kind in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode):
        return _neuron(module)
    return "not known"


def _neuron(node: Any) -> LIF | str:
    """IF, LIF or PLIF.

    SpikingJelly's potential starts at v_reset, leaks towards it and is reset to it. Measured from there it is ours,
    with the threshold v_threshold - v_reset.
    """
    surrogate = _surrogate(node.surrogate_function)
    if isinstance(surrogate, str):
        return surrogate
    numbers = [node.v_threshold, node.v_reset or 0.0, getattr(node, "tau", 1.0)]
    if not all(isinstance(number, int | float) for number in numbers):
        return "its threshold, reset or time constant is not a number"
    if getattr(node, "_neuron_precision", None) is not None:
        return "it has a precision of its own"
    threshold, rest, tau = map(float, numbers)
    options: dict[str, Any] = {
        "threshold": threshold - rest,
        "reset": "soft" if node.v_reset is None else "hard",
        "surrogate": surrogate,
        "detach_reset": node.detach_reset,
        "inclusive": True,
    }
    if hasattr(node, "w"):
        plif = PLIF(1 + math.exp(-float(node.w.detach())), **options, decay_input=node.decay_input)
        plif.w = node.w
        return plif
    if not hasattr(node, "tau"):
        return IF(**options)
    return LIF(1 - 1 / tau, 1 / tau if node.decay_input else 1.0, **options)


def _surrogate(function: Any) -> Surrogate | str:
    """The derivative of one of SpikingJelly's spike functions, or why there is none."""
    from spikingjelly.activation_based import surrogate

    known: Mapping[Any, tuple[str, bool]] = {
        surrogate.ATan: ("atan", False),
        surrogate.Sigmoid: ("sigmoid", False),
        surrogate.PiecewiseQuadratic: ("triangle", True),
        surrogate.Rect: ("rectangle", True),
    }
    if type(function) not in known:
        return f"no surrogate {type(function).__name__} here"
    if not function.spiking:
        return "it does not spike (spiking=False)"
    if not isinstance(function.alpha, int | float):
        return "its surrogate's width is not a number"
    kind, inverse = known[type(function)]
    return Surrogate(kind, 1 / function.alpha if inverse else float(function.alpha))


def _difference(module: Any) -> str:
    """What a converted module does not do as it did."""
    if getattr(module, "store_v_seq", False):
        return "potentials are not stored: read them with step()"
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.step_mode == "s":
        return "its statistics are those of all T * B frames, as in step mode m"
    return ""


def _twin(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """The same module as an instance of `kind`, which it is derived from, on the same parameters and buffers."""
    twin = kind.__new__(kind)
    for name, value in vars(module).items():
        if name != "_step_mode":
            twin.__dict__[name] = copy.copy(value) if isinstance(value, dict) else value
    return twin


def in_mode_of(module: nn.Module, made: nn.Module) -> nn.Module:
    """`made`, in training mode if `module` is. What is inside keeps its own: a frozen norm stays frozen."""
    made.training = module.training
    return made


def _gives_frames(module: Any) -> bool:
    """Whether this is a container of SpikingJelly's whose children might each be given all frames at once."""
    if not _is_of_spikingjelly(module):
        return False
    from spikingjelly.activation_based import layer

    kind, inside = type(module), list(module.modules())[1:]
    loops = kind is layer.MultiStepContainer or (kind is layer.StepModeContainer and module.stateful)
    folds = kind is layer.SeqToANNContainer or (kind is layer.StepModeContainer and not module.stateful)
    if loops and not any(isinstance(child, nn.modules.batchnorm._BatchNorm) for child in inside):
        return True
    return folds and not any(map(_has_memory, inside))


def step_mode(module: nn.Module) -> str | None:
    """The step mode in which a module is called; None if nothing in it has one."""
    from spikingjelly.activation_based import base

    if isinstance(module, base.MultiStepModule):
        return "m"
    mode = getattr(module, "step_mode", None)
    if mode is not None:
        return str(mode)
    modes = {step_mode(child) for child in module.children()} - {None}
    return "m" if "m" in modes else "s" if modes else None


def _apart(module: nn.Module) -> nn.Module:
    """A copy on the same parameters and buffers, whose memories are its own."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    for child in module.modules():
        states = [*vars(child).values(), *getattr(child, "_memories", {}).values()]
        for state in states:
            if isinstance(state, Tensor) and id(state) not in memo:
                memo[id(state)] = state.detach().clone()  # a graph cannot be copied
    return copy.deepcopy(module, memo)


def _has_memory(module: Any) -> bool:
    return hasattr(module, "_memories") and hasattr(module, "_memories_rv")


def _is_of_spikingjelly(module: nn.Module) -> bool:
    return any(kind.__module__.startswith("spikingjelly.") for kind in type(module).__mro__)
