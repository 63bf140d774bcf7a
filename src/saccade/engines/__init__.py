"""What runs a chain: the reference, the fused CPU and Triton engines, checkpointing."""

from saccade.engines.chained import Chained, Links, Residual
from saccade.engines.run import run

__all__ = ["Chained", "Links", "Residual", "run"]
