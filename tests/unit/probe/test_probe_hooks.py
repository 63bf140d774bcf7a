"""What every probe runs inside: it changes nothing for good, also when it fails half-way."""

import pytest
import torch
from torch import nn

from saccade.probe import gate_effect, measure_energy, measure_firing, predict, read_gates, record_spikes
from saccade.probe.hooks import batch_size, find_layer, probed

PROBES = {
    "energy": measure_energy,
    "firing": lambda model, x: measure_firing(model, [x]),
    "raster": record_spikes,
    "gates": read_gates,
    "effect": gate_effect,
    "answers": lambda model, x: predict(model, [(x, torch.zeros(len(x)).long())]),
}


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_that_fails_half_way_leaves_the_model_as_it_was(lively, untouched, name):
    model, x = lively(attention="dta")
    broken = model.stages[1].register_forward_hook(_fail)

    def fail():
        with pytest.raises(RuntimeError, match="broken on purpose"):
            PROBES[name](model, x)

    untouched(model, fail)
    broken.remove()


def test_the_checker_notices_what_a_careless_probe_does(lively, untouched):
    model, x = lively()

    def adds_to_gradients():
        with probed(model):
            model(x).sum().backward()

    with pytest.raises(AssertionError, match="modes"):
        untouched(model, lambda: model.eval())
    with pytest.raises(AssertionError, match="values"):
        untouched(model, lambda: model(x))  # in training mode: batch statistics
    with pytest.raises(AssertionError, match="gradients"):
        untouched(model, adds_to_gradients)
    with pytest.raises(AssertionError, match="hooks"):
        untouched(model, lambda: model.head.register_forward_hook(_fail))


def test_hooks_that_were_there_stay():
    layer = nn.Linear(2, 2)
    seen = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(1))
    with probed(layer) as handles:
        handles.append(layer.register_forward_hook(lambda module, inputs, output: seen.append(2)))
        layer(torch.ones(1, 2))
    layer(torch.ones(1, 2))
    assert seen == [1, 2, 1]


def test_mistakes_are_sentences():
    with pytest.raises(ValueError, match="Did you mean '0'"):
        find_layer(nn.Sequential(nn.Linear(1, 1)), "O0")
    with pytest.raises(ValueError, match=r"images \[B, C, H, W\] or sequences"):
        batch_size(torch.zeros(3))


def _fail(module, inputs, output):
    raise RuntimeError("broken on purpose")
