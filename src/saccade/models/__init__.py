"""Whole networks, the registry that builds them, and the loading of released checkpoints."""

from saccade.models import (  # noqa: F401  importing a file registers its networks
    fsvae,
    masnn,
    msresnet,
    qkformer,
    sdt,
    sew_resnet,
    spikformer,
    statten,
    tim,
    vgg,
    voting,
)
from saccade.models.msresnet import MSBlock, MSResNet
from saccade.models.network import Classifier, SpikingNetwork
from saccade.models.official import load_official
from saccade.models.registry import create_model, list_models, model_options, recreate_model, register_model
from saccade.models.sequential import Sequential
from saccade.models.sources import list_weights
from saccade.models.spikingjelly import from_spikingjelly
from saccade.models.weights import weights_card

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
    "weights_card",
]
