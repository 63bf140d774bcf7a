"""Attention modules, one file per paper, one contract, one factory.

`create_attention(name, channels, steps, **options)` builds any of them; `list_attention()` says which there are.
A class under `@register_attention("name")` is taken by every model by that name; every file here is imported.
"""

from __future__ import annotations

from saccade.nn.attention.cbam import CBAM
from saccade.nn.attention.contract import Attention, GatedNeuron, NoAttention, ScoreAttention
from saccade.nn.attention.dta import DTA, TNA, TXA
from saccade.nn.attention.eca import ECA
from saccade.nn.attention.fsta import FSTA
from saccade.nn.attention.gac import GAC
from saccade.nn.attention.masnn import CA, CSA, SA, TA, TCA, TCSA, TSA
from saccade.nn.attention.qk import QK
from saccade.nn.attention.registry import (
    attention_class,
    attention_options,
    create_attention,
    list_attention,
    register_attention,
)
from saccade.nn.attention.se import SE
from saccade.nn.attention.stca import STCA
from saccade.nn.attention.stsc import STSC
from saccade.nn.attention.tasnn import TASNN
from saccade.nn.attention.tcja import CLA, TCJA, TLA
from saccade.plugins import import_files

__all__ = [
    "CA",
    "CBAM",
    "CLA",
    "CSA",
    "DTA",
    "ECA",
    "FSTA",
    "GAC",
    "QK",
    "SA",
    "SE",
    "STCA",
    "STSC",
    "TA",
    "TASNN",
    "TCA",
    "TCJA",
    "TCSA",
    "TLA",
    "TNA",
    "TSA",
    "TXA",
    "Attention",
    "GatedNeuron",
    "NoAttention",
    "ScoreAttention",
    "attention_class",
    "attention_options",
    "create_attention",
    "list_attention",
    "register_attention",
]

import_files(__name__)
