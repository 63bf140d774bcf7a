"""STAtten: the Spike-driven Transformer with attention over the tokens of several steps.

Lee et al. Spiking Transformer with Spatial-Temporal Attention. CVPR 2025, arXiv 2409.19764.
"""

from __future__ import annotations

from typing import Any

from saccade.models.registry import register_model
from saccade.models.sdt import SDT
from saccade.nn.attention.contract import check_positive
from saccade.nn.self_attention import SpatioTemporalSelfAttention, TokenProduct


@register_model("statten", {"steps": 4, "input_size": (32, 32)})
class STAtten(SDT):
    """`SDT` with x + BN(W' LIF_0.5(((1 / H) sum over the tokens of a chunk of v k^T) q)) for its self attention.

    Args:
        chunk: steps whose tokens are one set.
        **common: those of `SDT`. Sizes are SDT-2-512's; we know the released block, not its configuration.
    """

    def __init__(self, *, chunk: int = 2, **common: Any) -> None:
        check_positive("STAtten", chunk=chunk)
        self._chunk = chunk
        super().__init__(**common)

    def product(self) -> TokenProduct:
        return SpatioTemporalSelfAttention(self.heads, self._chunk)
