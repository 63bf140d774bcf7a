"""Networks for inference: `deploy(model)` folds, fuses, and convolves spikes in integers."""

from saccade.engines.inference.network import Deployed, deploy
from saccade.engines.inference.summary import Row, Summary

__all__ = ["Deployed", "Row", "Summary", "deploy"]
