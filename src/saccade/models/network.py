"""What all networks share: the door that takes images or sequences, and the slots for attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from saccade.engines import Chained
from saccade.nn.attention import Attention, GatedNeuron, attention_options, create_attention
from saccade.nn.attention.contract import check_positive

#: the modules that take TCJA's published kernel widths
TCJA_FAMILY = ("tla", "cla", "tcja")


class SpikingNetwork(nn.Module):
    """Base of all networks: `Classifier`s, and generators such as `FSVAE`.

    A static image is the same current at every step. Subclasses build their layers from `self.scaled(...)` and
    `self.gated(...)`.

    Args:
        num_classes: K.
        steps: T.
        in_channels: C of the input: 3 for colour images, 2 for events (polarities).
        input_size: (H, W) of the input. Networks that pool globally take any size and need not be told.
        width: factor on all channel counts.
        attention: a name of `list_attention()`, placed where the network's paper places its own.
        attention_options: the attention's own options, e.g. {"kernel_time": 2}.
        placement: what the gate multiplies, "spikes" or "current" (before the neuron: all spikes stay binary); None:
            what the attention's paper multiplies.
        backend: LIF kernel, "auto" or by name.
    """

    #: what the network is for
    kind: ClassVar[str]
    #: released key -> our key, as ordered (pattern, replacement) pairs; see `models.official`
    official_keys: tuple[tuple[str, str], ...] = ()
    #: whether the network itself pools larger frames to its `input_size`, as a part of what was published
    pools_input: ClassVar[bool] = False
    #: whether it averages over height and width before its last layer, and so takes frames of any size
    pools_globally: ClassVar[bool] = False

    def __init__(
        self,
        *,
        num_classes: int = 10,
        steps: int = 4,
        in_channels: int = 3,
        input_size: tuple[int, int] | None = None,
        width: float = 1.0,
        attention: str = "none",
        attention_options: Mapping[str, Any] | None = None,
        placement: str | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, num_classes=num_classes, steps=steps, in_channels=in_channels)
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
            raise ValueError(f"width is a factor on all channel counts and must be a positive number, not {width!r}.")
        self.num_classes = num_classes
        self.steps = steps
        self.in_channels = in_channels
        self.input_size = input_size
        self.width = width
        self.backend = backend
        self.attention = attention
        self._attention_options = {"placement": placement, **(attention_options or {})}
        #: what `create_model` was called with, for `recreate_model`; goes on the card of saved weights
        self.created_with: dict[str, Any] = {}

    def scaled(self, channels: int) -> int:
        """`channels` times the width factor, rounded, at least 1."""
        return max(1, round(channels * self.width))

    def gated(self, channels: int, neuron: nn.Module, tcja_kernels: Mapping[str, int] | None = None) -> GatedNeuron:
        """A neuron with this network's attention.

        `tcja_kernels` are the published kernel widths of TCJA at this place; the other modules keep their own
        defaults, and the user's options win.
        """
        published = {}
        if self.attention in TCJA_FAMILY:
            known = attention_options(self.attention)
            published = {k: v for k, v in (tcja_kernels or {}).items() if k in known}
        options = {**published, **self._attention_options}
        return GatedNeuron(neuron, create_attention(self.attention, channels, self.steps, **options))

    def ungated(self, channels: int, neuron: nn.Module) -> GatedNeuron:
        """The same place without a gate, so that names and keys stay the same."""
        return GatedNeuron(neuron, create_attention("none", channels, self.steps))

    def as_sequence(self, x: Tensor) -> Tensor:
        """Check the layout and show a static image at every step: -> [T, B, C, H, W]."""
        name, shape = type(self).__name__, list(x.shape)
        if x.ndim not in (4, 5):
            raise ValueError(f"{name} takes images [B, C, H, W] or sequences [T, B, C, H, W], but got {shape}.")
        if x.shape[-3] != self.in_channels:
            raise ValueError(
                f"{name} was built for in_channels={self.in_channels} but the input {shape} has "
                f"{x.shape[-3]} channels. Build it with in_channels={x.shape[-3]}, or check the order of the axes."
            )
        if x.ndim == 4:
            return x.expand(self.steps, *x.shape)
        if x.shape[0] != self.steps:
            T = x.shape[0]
            raise ValueError(
                f"{name} was built for steps={self.steps} but the input has {T} steps ([T, B, C, H, W] = {shape}). "
                f"Build it with steps={T}, call resize_steps({T}), or put time first if the batch came first."
            )
        return x

    def resize_steps(self, steps: int) -> SpikingNetwork:
        """Change T in place, in every attention module; returns self. See `Attention.resize_steps`."""
        for attention in self.attention_modules().values():
            attention.resize_steps(steps)
        self.steps = steps
        self.created_with["resized_steps"] = steps
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute blocks again in backward, where the network can; ValueError where it cannot and is asked to."""
        if enable:
            raise ValueError(
                f"{type(self).__name__} has no form whose blocks are computed again in backward, only the networks "
                "that classify have. Use a smaller batch to save memory."
            )

    def attention_modules(self) -> dict[str, Attention]:
        """The gates by name, in the order in which they were built, `none` included.

        A gate of a `GatedNeuron` has that one's name, one that stands by itself its own.
        """
        found: dict[str, Attention] = {}
        inside: set[nn.Module] = set()
        for name, module in self.named_modules():
            gate = module.attention if isinstance(module, GatedNeuron) else module
            if isinstance(gate, Attention) and gate not in inside:
                found[name] = gate
                inside.update(gate.modules())
        return found


class Classifier(SpikingNetwork, Chained):
    """Base of the networks that classify: [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].

    Subclasses build their layers in `__init__` and say their order in `links()`; everything that runs or describes a
    network (training engines, deployment, checkpointing, streams, exports) reads that.
    """

    kind = "classifier"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """In training, keep only the input of each block for backward and compute the block again there.

        Less memory for more time; outputs, gradients, running statistics and random numbers stay the same. A block that
        a hook waits for is not computed again, nor is any under torch.compile, which chooses itself what it keeps.
        """
        self.grad_checkpointing = enable
