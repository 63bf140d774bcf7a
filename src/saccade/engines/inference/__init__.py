"""Networks for inference: `deploy(model)` folds, fuses, and convolves spikes in integers."""

from saccade.engines.inference.network import Deployed, deploy

__all__ = ["Deployed", "deploy"]
