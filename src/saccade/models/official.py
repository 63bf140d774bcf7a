"""Loading the authors' checkpoints: their key names, our modules.

The released networks register many tensors twice (`conv1` again inside `conv1_s`, a norm as `bn` and as `seqbn`), and
name TCJA's convolutions by the axis that they sum over. `load_official` renames, checks that doubles agree, and
refuses whatever is missing or left over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from saccade.models.fsvae import FSVAE
from saccade.nn.attention import CLA, DTA, TCJA, TLA, TNA, TXA

Rules = tuple[tuple[str, str], ...]

# `conv` slides along channels, `conv_c` along time; TCJA's TET files wrap `conv` in a list of one
TCJA_KEYS: Rules = ((r"(^|\.)conv(?:\.0)?\.weight$", r"\1conv_channel.weight"), (r"(^|\.)conv_c\.", r"\1conv_time."))
TXA_KEYS: Rules = (
    (r"(^|\.)scale_t$", r"\1scale_channel"),
    (r"(^|\.)scale_c$", r"\1scale_time"),
    (r"(^|\.)conv_t\.", r"\1conv_channel."),
    (r"(^|\.)conv_c\.", r"\1conv_time."),
)
TNA_KEYS: Rules = (
    (r"(^|\.)encoding\.0\.", r"\1embed."),
    (r"(^|\.)tca\.LTCA\.", r"\1local."),
    (r"(^|\.)tca\.MLP_block\.", r"\1pool."),
    (r"(^|\.)decoding\.", r"\1project."),
)
DTA_KEYS: Rules = ((r"(^|\.)T_NA\.", r"\1tna."), (r"(^|\.)T_XA\.", r"\1txa."), *TNA_KEYS, *TXA_KEYS)

ATTENTION_KEYS: dict[type[nn.Module], Rules] = {
    TLA: TCJA_KEYS,
    CLA: TCJA_KEYS,
    TCJA: TCJA_KEYS,
    TXA: TXA_KEYS,
    TNA: TNA_KEYS,
    DTA: DTA_KEYS,
}


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
    left_over = []
    if isinstance(module, FSVAE):
        state_dict = module.prepare_official(state_dict)
    for key, value in state_dict.items():
        target = rename(key, rules)
        if target not in own:
            left_over.append(key)
        elif target in found and not torch.equal(found[target], value):
            raise ValueError(
                f"{origin[target]} and {key} are two names of the same tensor, but their values differ: "
                "this is not a checkpoint of the released code as it stands."
            )
        else:
            found[target], origin[target] = value, key
    _refuse_mismatch(module, own, found, left_over)
    module.load_state_dict(found)
    return module


def official_rules(module: nn.Module) -> Rules:
    """The renaming rules for a module: its own, then those of the attention modules it may hold."""
    own: Rules | None = getattr(module, "official_keys", None) or ATTENTION_KEYS.get(type(module))
    if own is None:
        raise ValueError(
            f"There is no released code for {type(module).__name__}, so no key names to translate. "
            "Use module.load_state_dict for weights of this library."
        )
    for part in module.modules():
        if part is not module and type(part) in ATTENTION_KEYS:
            return (*own, *(_below_attention(rule) for rule in ATTENTION_KEYS[type(part)]))
    return own


def rename(key: str, rules: Rules) -> str:
    """Apply the rules in order."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


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
