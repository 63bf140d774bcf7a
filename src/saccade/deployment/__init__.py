"""Networks for inference: `deploy(model)` folds, fuses, and convolves spikes in integers."""

from saccade.deployment.chains import Flat, FrameSize, SpaceMean, register_chain
from saccade.deployment.network import Deployed, deploy
from saccade.deployment.summary import Row, Summary

__all__ = ["Deployed", "Flat", "FrameSize", "Row", "SpaceMean", "Summary", "deploy", "register_chain"]
