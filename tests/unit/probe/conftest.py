"""Small networks whose neurons fire."""

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.models.network import Classifier, SpikingNetwork
from saccade.nn.folding import TimeFolded
from saccade.nn.shape import Flat


class Small(Classifier):
    """conv - LIF with gate - flatten - linear, at every step."""

    def __init__(self, conv: nn.Conv2d, features: int, **common):
        super().__init__(**common)
        self.conv = TimeFolded(conv)
        self.fire = self.gated(conv.out_channels, saccade.LIF(backend="reference"))
        self.head = nn.Linear(features, self.num_classes)

    def links(self):
        return [("conv", self.conv), ("fire", self.fire), ("flat", Flat()), ("head", self.head)]


@pytest.fixture
def small():
    """Builds a `Small` in float64."""

    def build(conv: nn.Conv2d, features: int, **common) -> Small:
        return Small(conv, features, **common).double().eval()

    return build


@pytest.fixture
def lively():
    """Builds a registered network with event frames for it, in evaluation mode, whose neurons fire in every layer."""

    def build(name: str = "msresnet18", *, size: int = 16, batch: int = 4, **options) -> tuple[SpikingNetwork, Tensor]:
        torch.manual_seed(0)
        options = {"width": 0.125, "steps": 3, "in_channels": 2, **options}
        if name != "msresnet18":
            options["input_size"] = (size, size)
        model = saccade.create_model(name, **options)
        x = torch.rand(model.steps, batch, model.in_channels, size, size).mul(3).floor()
        with torch.no_grad():
            for module in model.modules():  # strong currents, so that the spikes reach the last layer
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.fill_(4.0)
                if isinstance(module, nn.Linear):
                    module.weight.mul_(8.0)
            for _ in range(20):
                model(x)
        return model.eval(), x

    return build


def state(model: nn.Module) -> dict:
    """Everything of a network that a probe must leave alone."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "needs": [parameter.requires_grad for parameter in model.parameters()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "values": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "gradients": {name: parameter.grad.clone() for name, parameter in model.named_parameters()},
        "random": {"state": torch.get_rng_state()},
    }


@pytest.fixture
def untouched():
    """A function that checks that calling something leaves a network as it was, whatever mode it was in."""

    def check(model: nn.Module, call) -> None:
        model.train()
        next(iter(model.children())).eval()  # a part that is frozen must stay frozen
        for parameter in model.parameters():  # as after a training step whose gradients are still needed
            parameter.grad = torch.full_like(parameter, 0.5)
        before = state(model)
        call()
        after = state(model)
        for key in ("modes", "hooks", "needs", "attributes"):
            assert before[key] == after[key], key
        for key in ("values", "gradients", "random"):
            for name, tensor in before[key].items():
                assert torch.equal(tensor, after[key][name]), f"{key}: {name}"

    return check
