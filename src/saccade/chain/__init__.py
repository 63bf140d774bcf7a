"""What a network is: links in the order in which data meets them. One file recognises patterns in them."""

from saccade.chain.build import chain_of, members
from saccade.chain.links import (
    Chain,
    DropoutLink,
    LayerLink,
    Link,
    NeuronLink,
    OtherLink,
    PoolLink,
    ResidualLink,
    ShapeLink,
    Span,
    check_branches,
)

__all__ = [
    "Chain",
    "DropoutLink",
    "LayerLink",
    "Link",
    "NeuronLink",
    "OtherLink",
    "PoolLink",
    "ResidualLink",
    "ShapeLink",
    "Span",
    "chain_of",
    "check_branches",
    "members",
]
