"""Scores and firing rates against counting by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saccade.nn import LIF
from saccade.train.device import Machine, choose_autocast, choose_device
from saccade.train.evaluate import evaluate
from saccade.train.firing import FiringMeter
from saccade.train.losses import cross_entropy_of_mean

CPU = Machine(torch.device("cpu"))


class Echo(nn.Module):
    """Logits that the input holds already, with a mode to be put back."""

    def forward(self, x):
        assert not self.training
        return x


def batches(*sizes, K=7):
    draw = torch.Generator().manual_seed(1)
    return [(torch.randn(2, B, K, generator=draw), torch.randint(K, (B,), generator=draw)) for B in sizes]


def test_scores_are_those_of_all_samples_at_once():
    data = batches(4, 4, 1)
    model = Echo().train()
    scores = evaluate(model, data, 7, cross_entropy_of_mean, CPU)
    logits = torch.cat([x for x, _ in data], dim=1)
    labels = torch.cat([y for _, y in data])
    hits = logits.mean(0).argmax(-1) == labels
    assert scores.samples == 9
    assert scores.accuracy == pytest.approx(hits.double().mean().item())
    assert scores.loss == pytest.approx(cross_entropy_of_mean(logits, labels).item(), rel=1e-6)
    top5 = (logits.mean(0).topk(5).indices == labels[:, None]).any(-1)
    assert scores.top5 == pytest.approx(top5.double().mean().item())
    for k in range(7):
        if (labels == k).any():
            assert scores.per_class[k] == pytest.approx(hits[labels == k].double().mean().item())
    assert model.training


def test_few_classes_have_no_top5():
    scores = evaluate(Echo(), batches(4, 4, K=5), 5, cross_entropy_of_mean, CPU)
    assert scores.top5 is None
    assert scores.samples == 8


def test_firing_rates_are_counted_per_layer_over_all_calls():
    twice = nn.Sequential(LIF(), LIF())
    current = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 2.0]])  # [T, neurons]
    with FiringMeter(twice) as meter:
        twice(current)
        twice(torch.zeros(4, 2))
    # the second layer sees spikes of 1: 1 is not above the threshold, 0.5 * 1 + 1 is
    assert meter.rates() == {"0": 3 / 16, "1": 1 / 16}
    assert meter.mean_rate() == 4 / 32
    twice(current)
    assert meter.mean_rate() == 4 / 32  # nothing is counted any more


def test_a_gpu_is_not_promised_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    assert choose_autocast("auto", torch.device("cpu")) is None
    with pytest.raises(ValueError, match="sees no CUDA GPU"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="float16' needs a GPU"):
        choose_autocast("float16", torch.device("cpu"))
