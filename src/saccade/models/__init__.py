"""Whole networks, the registry that builds them, and the loading of released checkpoints.

Every file here is imported: one that registers networks needs no other line.
"""

from saccade.models.msresnet import MSBlock, MSResNet
from saccade.models.neighbours import sctfa_net, stsc_net
from saccade.models.network import Classifier, SpikingNetwork
from saccade.models.official import load_official
from saccade.models.registry import create_model, list_models, model_options, recreate_model, register_model
from saccade.models.sequential import Sequential
from saccade.models.sources import list_weights
from saccade.models.spikingjelly import from_spikingjelly
from saccade.models.weights import weights_card
from saccade.plugins import import_files

__all__ = [
    "Classifier",
    "MSBlock",
    "MSResNet",
    "Sequential",
    "SpikingNetwork",
    "create_model",
    "from_spikingjelly",
    "list_models",
    "list_weights",
    "load_official",
    "model_options",
    "recreate_model",
    "register_model",
    "sctfa_net",
    "stsc_net",
    "weights_card",
]

import_files(__name__)
