"""What runs a chain: the reference, the fused engines, checkpointing; `inference` has the deployed form."""

from saccade.engines.chained import Chained, Links, Residual
from saccade.engines.explanation import explain
from saccade.engines.run import run
from saccade.engines.streaming import Stream, stream

__all__ = ["Chained", "Links", "Residual", "Stream", "explain", "run", "stream"]
