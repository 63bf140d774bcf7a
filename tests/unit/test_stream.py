"""Networks fed one frame after the other."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.models import SpikingNetwork
from saccade.nn.attention import attention_options

T = 3
CAUSAL = [name for name in saccade.list_attention() if "causal" in attention_options(name)]


def lively(name: str = "msresnet18", size: int = 16, **options: object) -> tuple[SpikingNetwork, Tensor]:
    """A network in float64 whose neurons fire, and an input."""
    torch.manual_seed(0)
    sizes = {} if name == "msresnet18" else {"input_size": (size, size)}
    model = saccade.create_model(name, steps=T, in_channels=2, width=0.1, **{**sizes, **options})
    x = 2 * torch.randn(T, 4, 2, size, size)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 1.5, 3)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 12 / module.in_features**0.5)
    with torch.no_grad():
        model.train()(x)
    return model.eval().double(), x.double()


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("msresnet18", {"attention": name}) for name in ("none", "se", "cbam")),
        *(("msresnet18", {"attention": name, "attention_options": {"causal": True}}) for name in CAUSAL),
        *(("vggsnn", {"attention": name, "attention_options": {"causal": True}}) for name in ("tcja", "dta")),
        ("vggsnn", {"attention": "tcja", "attention_options": {"causal": True}, "placement": "current"}),
        ("dvsgesture_net", {"attention": "tcja", "attention_options": {"causal": True}}),
    ],
)
def test_a_stream_equals_the_sequence(name, options, deployed):
    model, x = lively(name, 32, **options)
    with torch.no_grad():
        whole = model(x)
    assert whole.std() > 0
    stream = saccade.stream(saccade.deploy(model) if deployed else model)
    for t, x_t in enumerate(x):
        so_far = stream(x_t)
        torch.testing.assert_close(so_far, whole[: t + 1].mean(0), rtol=0, atol=1e-9)
    assert stream.steps == T


@pytest.mark.parametrize("deployed", [False, True])
def test_all_state_is_in_one_object_that_can_be_saved(deployed):
    model, x = lively(attention="tcja", attention_options={"causal": True})
    run = saccade.deploy(model) if deployed else model
    stream, file = saccade.stream(run), io.BytesIO()
    stream(x[0])
    torch.save(stream.state, file)
    expected = stream(x[1])
    file.seek(0)
    other = saccade.stream(run)
    other.state = torch.load(file, weights_only=True)
    assert torch.equal(other(x[1]), expected)
    other.reset()
    stream.reset()
    assert torch.equal(other(x[2]), stream(x[2]))


@pytest.mark.parametrize("deployed", [False, True])
def test_some_samples_go_on(deployed):
    model, x = lively(attention="tcja", attention_options={"causal": True})
    stream = saccade.stream(saccade.deploy(model) if deployed else model)
    rows = torch.tensor([3, 1])
    stream.step(x[0])
    stream.keep(rows)
    with torch.no_grad():
        torch.testing.assert_close(stream.step(x[1, rows]), model(x)[1, rows], rtol=0, atol=1e-9)


def test_a_stream_in_integers():
    model, x = lively("vggsnn", 16, attention="tcja", attention_options={"causal": True}, placement="current")
    model, x = model.float(), x.float()
    deployed = saccade.deploy(model, "exact")
    stream, whole = saccade.stream(deployed), deployed(x)
    for t, x_t in enumerate(x):
        torch.testing.assert_close(stream.step(x_t), whole[t], rtol=0, atol=1e-5)


def test_it_shares_the_weights():
    model, x = lively()
    stream = saccade.stream(model)
    before = stream.step(x[0])
    with torch.no_grad():
        model.head.bias += 1
    stream.reset()
    torch.testing.assert_close(stream.step(x[0]), before + 1, rtol=0, atol=1e-9)


def test_a_network_that_looks_ahead_is_streamed_as_a_window():
    model, x = lively(attention="dta")
    with pytest.raises(ValueError, match=r"DTA at stem_neuron cannot be .*all 3 steps .*causal=True.*window=True"):
        saccade.stream(model)
    for run in (model, saccade.deploy(model)):
        stream = saccade.stream(run, window=True)
        frames = torch.cat([x.new_zeros(T - 1, *x.shape[1:]), x, x[:1]])
        for t, x_t in enumerate((*x, x[0])):
            with torch.no_grad():
                torch.testing.assert_close(stream(x_t), run(frames[t : t + T]).mean(0), rtol=0, atol=1e-9)


def test_mistakes_are_said():
    model, x = lively(attention="tcja", attention_options={"causal": True})
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        saccade.stream(model.train())
    with pytest.raises(ValueError, match="takes a network that classifies"):
        saccade.stream(nn.Linear(2, 3).eval())
    stream = saccade.stream(model.eval())
    with pytest.raises(ValueError, match=r"one frame \[B, C, H, W\] at a time"):
        stream(x)
    with pytest.raises(ValueError, match="in_channels=2 but the input"):
        stream(x[0, :, :1])
    for x_t in x:
        stream(x_t)
    with pytest.raises(ValueError, match=r"3 steps, which have all come\. Call reset"):
        stream(x[0])


def test_a_norm_of_all_steps_is_refused():
    norm = nn.BatchNorm2d(1, track_running_stats=False)
    net = saccade.Sequential(nn.Conv2d(1, 1, 1), norm, nn.Flatten(), nn.Linear(4, 2), steps=T, in_channels=1).eval()
    with pytest.raises(ValueError, match="batch norm 1 has no running statistics"):
        saccade.stream(net)
    assert saccade.stream(net, window=True)(torch.randn(2, 1, 2, 2)).shape == (2, 2)


def test_a_module_that_may_look_at_other_steps_is_refused():
    class Backwards(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flip(0)

    net = saccade.Sequential(Backwards(), nn.Flatten(), nn.Linear(4, 2), steps=T, in_channels=1).eval()
    x = torch.randn(2, 1, 2, 2)
    for run in (net, saccade.deploy(net)):
        with pytest.raises(ValueError, match=r"0 \(Backwards\) is given whole sequences"):
            saccade.stream(run)(x)
    Backwards.looks_at_steps = "own"
    assert saccade.stream(net)(x).shape == (2, 2)


def test_the_page_runs():
    page = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names: dict = {}
    exec(code, names)
    assert names["logits"].shape == (1, 10)
    assert names["stream"].steps == 0
