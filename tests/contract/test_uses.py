"""What every registered network gets from its chain: engines, checkpoints, deployment, streams, energy, Grad-CAM."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.models.registry import model_entry
from saccade.probe import count_operations, grad_cam, measure_firing

CLASSIFIERS = [name for name in saccade.list_models() if name != "fsvae"]
T, B, K = 2, 2, 4
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def lively(name: str, train: bool = False, **options) -> tuple[saccade.models.SpikingNetwork, Tensor]:
    """A small network in float64 whose neurons fire up to the logits, and event frames for it."""
    torch.manual_seed(0)
    size = (32, 32) if model_entry(name).cls.pools_globally else (35, 33)
    common = {"num_classes": K, "steps": T, "in_channels": 2, "input_size": size, "width": 0.05}
    model = saccade.create_model(name, **{**common, **options}).double()
    x = torch.rand(T, B, 2, *size, dtype=torch.float64).mul(3).floor()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 2, 4)
            nn.init.normal_(module.bias, 0.5, 0.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 12 / module.in_features**0.5)
    with torch.no_grad():
        model(x)
        assert model.eval()(x).std() > 1e-3, "a network that does not fire proves nothing"
    return model.train(train), x


def trained_step(model: saccade.models.SpikingNetwork, x: Tensor) -> dict[str, Tensor]:
    """Logits, every gradient and every buffer after one step's forward and backward."""
    torch.manual_seed(1)  # the masks of dropout
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    (logits * torch.linspace(-1, 1, logits.numel(), dtype=x.dtype).view_as(logits)).sum().backward()
    assert leaf.grad is not None
    gradients = {f"gradient of {key}": p.grad for key, p in model.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), "gradient of x": leaf.grad, **gradients, **dict(model.named_buffers())}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        scale = max(1.0, float(value.double().abs().max()))
        torch.testing.assert_close(
            found[key] / scale, value / scale, **EXACT, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_engines_and_checkpoints_give_the_numbers_of_the_modules(name):
    expected = trained_step(*lively(name, train=True, attention="tcja", backend="reference"))
    for checkpointing in (False, True):
        model, x = lively(name, train=True, attention="tcja")
        model.set_grad_checkpointing(checkpointing)
        assert_same(trained_step(model, x), expected)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("attention", ["tcja", "dta"])
def test_deployed_it_gives_the_same(name, attention):
    model, x = lively(name, attention=attention)
    deployed = saccade.deploy(model)
    with torch.no_grad():
        torch.testing.assert_close(deployed(x), model(x), **EXACT)
        torch.testing.assert_close(deployed(x[0]), model(x[0]), **EXACT)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_as_a_stream_it_gives_the_same_or_says_why_not(name):
    model, x = lively(name)
    if any(getattr(module, "looks_at_steps", "own") == "all" for module in model.modules()):
        with pytest.raises(ValueError, match="a stream cannot know whether it looks at other steps"):
            saccade.stream(model).step(x[0])
        return
    stream = saccade.stream(model)
    with torch.no_grad():
        torch.testing.assert_close(torch.stack([stream.step(x_t) for x_t in x]), model(x), **EXACT)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_operation_is_counted(name):
    count = count_operations(*lively(name, attention="tcja"))
    assert count.not_counted == {}
    assert {"synapse", "neuron", "attention"} <= {layer.kind for layer in count.layers}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_where_it_looks_and_what_fires(name):
    model, x = lively(name)
    cam = grad_cam(model, x)
    assert cam.maps.shape[:2] == (T, B)
    assert cam.maps.isfinite().all()
    assert any(layer.layer.startswith(cam.layer) and layer.rate > 0 for layer in measure_firing(model, [x]))
