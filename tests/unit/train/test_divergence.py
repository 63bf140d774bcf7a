"""Training that goes astray: found at its step, named by its layer, and stopped, skipped or rolled back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from saccade.data import ImageTensors
from saccade.models import create_model
from saccade.recipes import get_recipe
from saccade.train.learning import divergence
from saccade.train.learning.classification import ClassificationTask
from saccade.train.learning.divergence import DivergedError, Divergence, astray, is_finite, silence
from saccade.train.run import train
from saccade.train.running.processes import World

# numpy says it too, where it adds up what a batch norm has seen
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in reduce:RuntimeWarning")
QUICK = replace(
    get_recipe("digits-dta"),
    model="fashion_net",
    attention="none",
    attention_options={},
    model_options={"output_neuron": False},
    epochs=2,
    max_batches=3,
    batch_size=8,
    width=0.05,
    device="cpu",
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("fashion_net", num_classes=3, steps=2, in_channels=2, input_size=(8, 8), width=0.05)


def learn(network, x):
    """A forward and a backward pass."""
    network.train()(x).square().mean().backward()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_weight_the_input_and_a_gradient_are_named(network, bad):
    x = torch.randn(2, 4, 2, 8, 8)
    learn(network, x)
    assert is_finite(network)
    assert "the loss itself" in astray(network, x)

    network.convs[1].conv.weight.grad[0, 0, 0, 0] = bad
    assert not is_finite(network)
    assert astray(network, x) == "the gradient came in at convs.1.conv.weight, and reached 1 of the weights"
    network.zero_grad()

    worse = x.clone()
    worse[1, 2, 0, 3, 3] = bad
    assert astray(network, worse) == "the input is not finite"
    learn(network, worse)  # spikes hide it, what the batch norm has seen does not
    assert not is_finite(network)

    with torch.no_grad():
        network.convs[0].conv.weight[0, 0, 0, 0] = bad
    assert astray(network, x) == "the weights convs.0.conv.weight are not finite"


def test_the_layer_is_the_first_one_and_the_network_stays_as_it_is(network):
    x = torch.randn(2, 4, 2, 8, 8)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    handle = network.convs[1].register_forward_hook(lambda module, inputs, out: out * torch.inf)
    assert "neurons.1" in astray(network, x)  # what it was given
    handle.remove()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_silent_and_saturated_layers_are_named():
    assert silence({"a": 0.1, "b": 0.2}) == ([], False)
    assert silence({"a": 0.0, "b": 0.2}) == (["no neuron of a fires"], False)
    assert silence({"a": 0.0, "b": 1.0}) == (["no neuron of a fires", "every neuron of b always fires"], False)
    assert silence({"a": 0.0, "b": 0.0})[1]
    assert silence({"a": 1.0})[1]
    assert not silence({})[1]


def poisoned(monkeypatch, *steps, once=False):
    """The loss of these steps, counted over the whole run, is not a number."""
    original, count = ClassificationTask.training_step, [0]

    def step(self, batch, index):
        count[0] += 1
        n = count[0] if once else self.global_step + 1
        loss = original(self, (batch[0] * torch.nan, batch[1]) if n in steps else batch, index)
        return loss

    monkeypatch.setattr(ClassificationTask, "training_step", step)


def test_stop_names_step_and_layer_and_keeps_the_checkpoint(monkeypatch, tmp_path):
    poisoned(monkeypatch, 5)
    with pytest.raises(DivergedError, match=r"step 2 of 3 \(.*\) in epoch 2 of 2, so training stopped") as caught:
        train(QUICK, tmp_path / "run")
    said = str(caught.value)
    assert "\n" not in said
    assert "The checkpoint after epoch 1 is kept" in said
    kept = torch.load(tmp_path / "run" / "resume.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in kept.values())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_skipped_step_leaves_no_trace_but_its_mention(monkeypatch, tmp_path, optimizer):
    poisoned(monkeypatch, 2, 3, once=True)
    result = train(replace(QUICK, on_divergence="skip", optimizer=optimizer, lr=0.01), tmp_path / "run")
    assert result["diverged"]["skipped_steps"] == 2
    assert result["diverged"]["rollbacks"] == 0
    assert [event.partition(" (")[0] for event in result["diverged"]["events"]] == [
        "epoch 1, step 2 of 3",
        "epoch 1, step 3 of 3",
    ]
    weights = torch.load(tmp_path / "run" / "resume.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in weights["state_dict"].values())
    assert weights["divergence"]["skipped_steps"] == 2
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["score"]["diverged"] == result["diverged"]


def test_a_run_without_trouble_is_the_same_with_every_policy(tmp_path):
    weights = []
    for policy in ("stop", "skip", "rollback"):
        result = train(replace(QUICK, on_divergence=policy), tmp_path / policy)
        assert "diverged" not in result
        weights.append((tmp_path / policy / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]


def test_skipping_for_ever_ends(monkeypatch, tmp_path):
    poisoned(monkeypatch, *range(100))
    monkeypatch.setattr("saccade.train.learning.task.MOST_SKIPPED", 3)
    with pytest.raises(DivergedError, match="3 steps one after the other were not finite, up to step 3 of 3"):
        train(replace(QUICK, on_divergence="skip"), tmp_path / "run")


@pytest.mark.parametrize("bad", [2, 5], ids=["before the first checkpoint", "after it"])
def test_a_rollback_goes_on_from_the_last_whole_epoch_with_half_the_rate(monkeypatch, tmp_path, capsys, bad):
    poisoned(monkeypatch, bad, once=True)
    result = train(replace(QUICK, on_divergence="rollback"), tmp_path / "run")
    assert result["diverged"]["rollbacks"] == 1
    assert "rolled back" in result["diverged"]["events"][0]
    assert "back to the last whole epoch, with lr" in capsys.readouterr().out
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = [line.split(",") for line in file.read().splitlines()]
    lr = [float(row[rows[0].index("lr")]) for row in rows[1:]]
    whole = train(replace(QUICK), tmp_path / "whole") and (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    expected = [float(line.split(",")[rows[0].index("lr")]) for line in whole[1:]]
    assert lr == pytest.approx([expected[0] * (0.5 if bad == 2 else 1), expected[1] * 0.5])


def test_several_processes_cannot_roll_back(monkeypatch, tmp_path):
    monkeypatch.setattr("saccade.train.run.find_world", lambda experiment: World(processes=2))
    with pytest.raises(ValueError, match="on_divergence='rollback' is for one process"):
        train(replace(QUICK, on_divergence="rollback"), tmp_path / "run")


def test_rolling_back_for_ever_ends(monkeypatch, tmp_path):
    poisoned(monkeypatch, 2)
    monkeypatch.setattr("saccade.train.run.MOST_ROLLBACKS", 2)
    with pytest.raises(DivergedError, match="so training stopped"):
        train(replace(QUICK, on_divergence="rollback"), tmp_path / "run")


def test_a_network_that_never_fires_stops_the_run(monkeypatch, tmp_path):
    monkeypatch.setattr("saccade.train.learning.task.SETTLED_STEPS", 6)
    original = ImageTensors.fetch
    monkeypatch.setattr(ImageTensors, "fetch", lambda self, i: (original(self, i)[0] * 0, original(self, i)[1]))
    dead = replace(QUICK, epochs=4, lr=1e-6)
    with pytest.raises(DivergedError, match=r"learns no more: for two epochs no neuron of .* fires.* in epoch 2 of 4"):
        train(dead, tmp_path / "run")
    assert train(replace(dead, on_divergence="skip"), tmp_path / "skip")["firing_rate"] == 0


def test_what_is_kept_in_a_checkpoint_comes_back():
    found = Divergence().after_skip("a").after_rollback("b")
    assert Divergence.from_dict(found.as_dict()) == found
    assert found.lr_factor == divergence.ROLLBACK_LR
    assert Divergence.from_dict({}) == Divergence()
    many = Divergence()
    for _ in range(200):
        many = many.after_skip("x")
    assert (many.skipped_steps, len(many.events)) == (200, divergence.MOST_EVENTS)


def test_neurons_hide_what_is_not_a_number_from_the_loss(network):
    """Why the statistics of batch norms are looked at."""
    x = torch.randn(2, 4, 2, 8, 8) * torch.nan
    assert network.train()(x).isfinite().all()
    assert isinstance(network.convs[0].norm, nn.BatchNorm2d)
    assert not is_finite(network)
