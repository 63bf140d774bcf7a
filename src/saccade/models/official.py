"""Loading the authors' checkpoints: their key names, our modules.

The released networks register many tensors twice (`conv1` again inside `conv1_s`, a norm as `bn` and as `seqbn`), and
name TCJA's convolutions by the axis that they sum over. `load_official` renames, checks that doubles agree, and
refuses whatever is missing or left over. Where the authors have several layers for one of ours, a rule's result ends
with "@1/3": the second third of our tensor's first axis. The rules of renaming stand with what they rename:
`official_keys` of a network, a block or an attention module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from saccade.models.fsvae import FSVAE
from saccade.nn.attention.contract import Attention, Rules


def load_official(module: nn.Module, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Load a state dict with the authors' key names into a network, a block or one attention module.

    Args:
        module: from `create_model`, `create_attention`, or an `MSBlock`.
        state_dict: as released; read files with `torch.load(path, weights_only=True)`.

    Returns:
        The module itself.

    Raises:
        ValueError: keys are missing, left over, of another shape, or two names of one tensor disagree.
    """
    rules = official_rules(module)
    own = module.state_dict()
    found: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    pieces: dict[str, dict[Part, Tensor]] = {}
    left_over = []
    if isinstance(module, FSVAE):
        state_dict = module.prepare_official(state_dict)
    for key, value in state_dict.items():
        target = rename(key, rules)
        if not target:  # carried by the released code, and never used
            continue
        target, part = split_part(target)
        if target not in own:
            left_over.append(key)
            continue
        if part is not None and own[target].ndim:
            pieces.setdefault(target, {})[part] = value
            if len(pieces[target]) < part.of:
                continue
            value = torch.cat([pieces[target][number] for number in sorted(pieces[target])])
        value = with_axes_of(value, own[target])
        if target in found and not torch.equal(found[target], value):
            raise ValueError(
                f"{origin[target]} and {key} are two names of the same tensor, but their values differ: "
                "this is not a checkpoint of the released code as it stands."
            )
        found[target], origin[target] = value, key
    _refuse_mismatch(module, own, found, left_over)
    module.load_state_dict(found)
    return module


def official_rules(module: nn.Module) -> Rules:
    """The renaming rules for a module: its own, then those of the attention modules it may hold."""
    own: Rules = getattr(module, "official_keys", ())
    if not own:
        raise ValueError(
            f"There is no released code for {type(module).__name__}, so no key names to translate. "
            "Use module.load_state_dict for weights of this library."
        )
    for part in module.modules():
        if isinstance(part, Attention) and part.official_keys and not isinstance(module, Attention):
            return (*own, *(_below_attention(rule) for rule in part.official_keys))
    return own


def rename(key: str, rules: Rules) -> str:
    """Apply the rules in order; empty for a key that the released code carries and never uses."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


class Part(NamedTuple):
    """One of several equal pieces of a tensor's first axis, from 0 on."""

    number: int
    of: int

    def rows(self, tensor: Tensor) -> Tensor:
        """These rows of our tensor."""
        return tensor.chunk(self.of)[self.number]


def split_part(target: str) -> tuple[str, Part | None]:
    """Our key, and the piece of it that a renamed key stands for; None: all of it."""
    key, _, part = target.partition("@")
    return key, Part(*map(int, part.split("/"))) if part else None


def with_axes_of(value: Tensor, own: Tensor) -> Tensor:
    """`value` in the shape of `own` where they differ in axes of length 1 alone: a 1 x 1 convolution is a matrix."""
    same = [n for n in value.shape if n != 1] == [n for n in own.shape if n != 1]
    return value.reshape(own.shape) if same and value.ndim != own.ndim else value


def _below_attention(rule: tuple[str, str]) -> tuple[str, str]:
    """A rule of an attention module, for keys below an `attention.` of a network and no others."""
    pattern, replacement = rule
    body = pattern.removeprefix(r"(^|\.)")
    return rf"(attention\.(?:\w+\.)*?){body}", replacement


def _refuse_mismatch(
    module: nn.Module, own: Mapping[str, Tensor], found: Mapping[str, Tensor], left_over: list[str]
) -> None:
    name = type(module).__name__
    missing = [key for key in own if key not in found]
    if missing or left_over:
        raise ValueError(
            f"The state dict does not fit this {name}: {_count('missing (our names)', missing)}; "
            f"{_count('left over (their names)', left_over)}. Check attention, width, steps and kernel widths."
        )
    for key, value in found.items():
        if value.shape != own[key].shape:
            raise ValueError(
                f"{key} of this {name} has shape {list(own[key].shape)}, but the state dict holds "
                f"{list(value.shape)}. Check num_classes, steps, in_channels, input_size and kernel widths."
            )


def _count(label: str, keys: list[str]) -> str:
    if not keys:
        return f"nothing {label}"
    shown = ", ".join(keys[:5]) + (", ..." if len(keys) > 5 else "")
    return f"{len(keys)} {label}: {shown}"
