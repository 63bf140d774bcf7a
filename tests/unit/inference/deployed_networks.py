"""Small networks whose neurons fire, for the tests of deployment."""

from __future__ import annotations

import torch

import saccade
from saccade.models import SpikingNetwork

#: name -> (model, options, shape of an input)
NETWORKS = {
    "msresnet18 dta, static": ("msresnet18", {"attention": "dta", "width": 0.25}, (2, 3, 16, 16)),
    "msresnet18 tcja, odd size": ("msresnet18", {"attention": "tcja", "width": 0.11}, (3, 2, 3, 17, 15)),
    "msresnet18 without stem neuron": ("msresnet18", {"width": 0.1, "stem_neuron": False}, (2, 3, 8, 8)),
    "vggsnn_tet tcja": ("vggsnn_tet", {"attention": "tcja", "input_size": (24, 24)}, (3, 2, 2, 24, 24)),
    "vggsnn_tet sa": ("vggsnn_tet", {"attention": "sa", "input_size": (16, 16)}, (3, 2, 2, 16, 16)),
    "vggsnn resized": ("vggsnn", {"attention": "tcja", "input_size": (16, 16)}, (3, 2, 2, 24, 24)),
    "dvsgesture_net tcja, odd size": (
        "dvsgesture_net",
        {"attention": "tcja", "input_size": (35, 33)},
        (3, 2, 2, 35, 33),
    ),
    "dvsgesture_net cbam": ("dvsgesture_net", {"attention": "cbam", "input_size": (32, 32)}, (3, 2, 2, 32, 32)),
    "caltech_net_tet tcja": ("caltech_net_tet", {"attention": "tcja", "input_size": (35, 33)}, (3, 1, 2, 35, 33)),
    "vggsnn_caltech_tet dta": ("vggsnn_caltech_tet", {"attention": "dta", "input_size": (35, 33)}, (3, 1, 2, 35, 33)),
    "fashion_net tcja, static": ("fashion_net", {"attention": "tcja"}, (2, 1, 28, 28)),
    "sew_resnet18, static": ("sew_resnet18", {"small_images": True}, (2, 3, 9, 8)),
    "spikformer": ("spikformer", {"dim": 32, "depth": 2, "heads": 4, "width": 1.0}, (3, 2, 3, 8, 8)),
    "qkformer, static": ("qkformer", {"dim": 32, "heads": 4, "width": 1.0}, (2, 3, 8, 8)),
}


def network(name: str, **options: object) -> tuple[SpikingNetwork, torch.Tensor]:
    """One of `NETWORKS` in evaluation mode, weighted such that its neurons fire, and an input."""
    torch.manual_seed(0)
    model, own, shape = NETWORKS[name]
    built = saccade.create_model(model, **{"steps": 3, "width": 0.125, **own, **options})
    x = 2 * torch.randn(shape if len(shape) == 4 else (built.steps, *shape[1:]))
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 2, 4)
            torch.nn.init.normal_(module.bias, 0, 0.5)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, 0, 12 / module.in_features**0.5)
    with torch.no_grad():
        built.train()(x)  # running statistics that are the input's
    return built.eval(), x
