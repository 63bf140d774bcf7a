"""ONNX graphs against the networks that they were written from, in ONNX Runtime."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import saccade
from saccade.models.registry import model_entry
from saccade.nn.neuron import Neuron, neurons_of

ort = pytest.importorskip("onnxruntime")

CLASSIFIERS = [name for name in saccade.list_models() if name != "fsvae"]
T, B, K = 3, 2, 4


def answers(file, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """What ONNX Runtime computes, by the outputs' names."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
    given = {name: x.numpy() for name, x in zip(file.inputs, inputs, strict=True)}
    return dict(zip(file.outputs, map(torch.from_numpy, map(np.asarray, session.run(None, given))), strict=True))


def spikes_of(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The logits and what every neuron fires, in torch."""
    found: dict[str, torch.Tensor] = {}
    handles = [
        neuron.register_forward_hook(lambda m, i, o, name=name: found.update({f"spikes {name}": o}))
        for name, neuron in neurons_of(model).items()
    ]
    with torch.no_grad():
        found["logits"] = model(x)
    for handle in handles:
        handle.remove()
    return found


def assert_same_spikes(file, model: nn.Module, x: torch.Tensor) -> None:
    found, expected = answers(file, x), spikes_of(model, x)
    names = [name for name in found if name.startswith("spikes ")]
    assert set(names) == set(expected) - {"logits"}
    for name in names:
        assert torch.equal(found[name], expected[name]), f"{name}: {(found[name] != expected[name]).sum()} differ"
    assert any(0 < found[name].mean() < 1 for name in names)
    torch.testing.assert_close(found["logits"], expected["logits"], rtol=1e-6, atol=1e-6)


def lively(model: saccade.models.SpikingNetwork, x: torch.Tensor) -> saccade.models.SpikingNetwork:
    """In float64, with batch norms of what they see, so that every layer fires."""
    model.double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 2, 4)
            nn.init.normal_(module.bias, 0.5, 0.5)
    with torch.no_grad():
        model(x)
    return model.eval()


def frames(*size: int, steps: int = T, channels: int = 2, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(steps, B, channels, *size, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 3


def own(attention: str = "none", steps: int = T, **options) -> saccade.Sequential:
    torch.manual_seed(0)
    return saccade.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        saccade.LIF(gain=2.0),
        saccade.create_attention(attention, channels=4, steps=steps, **options),
        nn.AvgPool2d(2),
        saccade.Residual(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), saccade.PLIF()),
        nn.Flatten(),
        nn.Linear(4 * 9, K),
        steps=steps,
        in_channels=2,
        input_size=(6, 6),
    ).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_network_fires_the_same(name, tmp_path):
    torch.manual_seed(0)
    size = (32, 32) if model_entry(name).cls.pools_globally else (35, 33)
    common = {"num_classes": K, "steps": 2, "in_channels": 2, "input_size": size, "width": 0.05}
    x = frames(*size, steps=2)
    model = lively(saccade.create_model(name, attention="tcja", **common), x)
    assert_same_spikes(saccade.export.onnx(model, tmp_path / "net.onnx", extras=["spikes"]), model, x)


@pytest.mark.parametrize("attention", saccade.list_attention())
def test_every_attention_gates_the_same(attention, tmp_path):
    torch.manual_seed(0)
    gate = saccade.create_attention(attention, channels=2, steps=2)
    layers = saccade.LIF(gain=30.0), gate, nn.Flatten(), nn.Linear(32, K)
    model = saccade.Sequential(*layers, steps=2, in_channels=2, input_size=(4, 4)).double().eval()
    x = frames(4, 4, steps=2)
    file = saccade.export.onnx(model, tmp_path / "net.onnx", extras=["spikes", "gates", "rates"])
    assert_same_spikes(file, model, x)
    found = answers(file, x)
    torch.testing.assert_close(found["rate 0"], found["spikes 0"].mean((2, 3, 4)))
    gates = [name for name in found if name.startswith("gate ")]
    assert gates == ([] if attention == "none" else ["gate 1"])
    if gates:
        assert torch.broadcast_shapes(found["gate 1"].shape, (2, B, 2, 4, 4)) == (2, B, 2, 4, 4)


def test_one_file_takes_any_batch_and_any_type(tmp_path):
    model = own("tcja")
    file = saccade.export.onnx(model, tmp_path / "net.onnx")
    assert file.inputs == {"x": [T, -1, 2, 6, 6]}
    for batch in (1, 3, 8):
        x = torch.rand(T, batch, 2, 6, 6) * 3
        with torch.no_grad():
            torch.testing.assert_close(answers(file, x)["logits"], model(x))


def test_an_image_is_shown_at_every_step(tmp_path):
    model, x = own("tcja"), frames(6, 6, dtype=torch.float32)[0]
    with torch.no_grad():
        torch.testing.assert_close(
            answers(saccade.export.onnx(model, tmp_path / "net.onnx", image=True), x)["logits"], model(x)
        )


@pytest.mark.parametrize(("attention", "options"), [("none", {}), ("tcja", {"causal": True}), ("eca", {})])
def test_one_step_with_its_state_is_the_whole_sequence(attention, options, tmp_path):
    model, x = own(attention, **options), frames(6, 6)
    lively(model, x)
    file = saccade.export.onnx(model, tmp_path / "step.onnx", step=True, extras=["spikes", "gates"])
    state = [
        torch.zeros([B if n == -1 else n for n in file.inputs[name]], dtype=torch.long if name == "step" else x.dtype)
        for name in file.state
    ]
    expected = spikes_of(model, x)
    for t, x_t in enumerate(x):
        found = answers(file, x_t, *state)
        state = [found[f"next {name}"] for name in file.state]
        torch.testing.assert_close(found["logits"], expected["logits"][t])
        for name in expected.keys() - {"logits"}:
            assert torch.equal(found[name][0], expected[name][t])
        assert ("gate 3" in found) == (attention != "none")


def test_what_begins_otherwise_than_from_zeros_has_no_graph_of_one_step(tmp_path):
    class Primed(Neuron):
        def step(self, x_t, state=None):
            v = 0.5 + x_t if state is None else state + x_t
            return (v > 1).to(x_t.dtype), v

    model = saccade.Sequential(
        Primed(), nn.Flatten(), nn.Linear(72, K), steps=T, in_channels=2, input_size=(6, 6)
    ).eval()
    with pytest.raises(ValueError, match="begins otherwise than from zeros"):
        saccade.export.onnx(model, tmp_path / "step.onnx", step=True)
    file = saccade.export.onnx(model, tmp_path / "all.onnx")
    x = frames(6, 6, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(answers(file, x)["logits"], model(x))


def test_in_8_bits_it_answers_nearly_the_same(tmp_path):
    model, x = own("tcja"), frames(6, 6, dtype=torch.float32)
    file = saccade.export.onnx(model, tmp_path / "net.onnx", precision="int8", calibration=x)
    import onnx

    graph = onnx.load(file.path)
    assert {w.data_type for w in graph.graph.initializer} >= {onnx.TensorProto.INT8}
    with torch.no_grad():
        expected = model(x)
    assert (answers(file, x)["logits"] - expected).abs().mean() < 0.1 * expected.std()


def test_the_file_says_what_it_is(tmp_path):
    import onnx

    file = saccade.export.onnx(own("tcja"), tmp_path / "net.onnx")
    about = json.loads(onnx.load(file.path).metadata_props[0].value)
    assert about["form"] == "sequence"
    assert (about["steps"], about["classes"], about["precision"]) == (T, K, "float")
    assert list(tmp_path.iterdir()) == [file.path]


def test_the_network_is_left_as_it_is(tmp_path):
    model, x = own("tcja"), frames(6, 6, dtype=torch.float32)
    before = model(x)
    saccade.export.onnx(model, tmp_path / "net.onnx", extras=["spikes"])
    assert torch.equal(model(x), before)
    assert all(p.requires_grad for p in model.parameters())
    assert "forward" not in vars(model[2])


class Reads(nn.Module):
    """A module that no graph can say: what it computes depends on numbers."""

    def forward(self, x):
        return x if x.mean() > 0 else -x


@pytest.mark.parametrize(
    ("build", "options", "sentence"),
    [
        (lambda: own().train(), {}, "takes a network in evaluation mode"),
        (lambda: nn.Linear(2, 2), {}, "Linear says no links"),
        (lambda: saccade.create_model("fsvae", width=0.1).eval(), {}, "draws random spikes"),
        (lambda: own(), {"extras": ["gate"]}, "Unknown output 'gate'. Did you mean 'gates'"),
        (lambda: own(), {"precision": "int4"}, "Unknown precision 'int4'"),
        (lambda: own(), {"precision": "int8"}, "needs calibration=x"),
        (lambda: own("dta"), {"step": True}, "DTA at 3 cannot be computed step by step"),
        (lambda: own(), {"step": True, "image": True}, "choose one"),
        (
            lambda: saccade.Sequential(saccade.LIF(), nn.Flatten(), nn.Linear(8, 2), steps=2, in_channels=2).eval(),
            {},
            "Say size=",
        ),
        (
            lambda: saccade.Sequential(
                Reads(), nn.Flatten(), nn.Linear(72, 2), steps=2, in_channels=2, input_size=(6, 6)
            ).eval(),
            {},
            "cannot be written as ONNX: ",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_in_a_sentence(build, options, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        saccade.export.onnx(build(), tmp_path / "net.onnx", **options)
    assert not list(tmp_path.iterdir())
