"""The training loop as a GPU runs it, without one.

The meta device stands in for a GPU that must never be waited for: its tensors have no values, so whatever looks at one
in the middle of a step raises.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from saccade.data import DataInfo, ImageTensors, cutout, make_loader
from saccade.data.augment import Jitter
from saccade.recipes import get_recipe
from saccade.train.build import build_model, check_names
from saccade.train.config import Experiment
from saccade.train.device import Machine, laid_out_for
from saccade.train.learning.classification import ClassificationTask
from saccade.train.learning.task import build_optimizer

META = torch.device("meta")
INFO = DataInfo("cifar10", 10, 3, (32, 32), False, tuple(map(str, range(10))))


def images(augment: Jitter | None = None) -> ImageTensors:
    samples = torch.randint(256, (12, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageTensors(samples, torch.arange(12) % 10, (127.0,) * 3, (64.0,) * 3, augment)


def small(**changes: object) -> Experiment:
    return replace(get_recipe("cifar10-speedrun"), width=0.06, batch_size=4, **changes)


def task_for(experiment: Experiment) -> ClassificationTask:
    loader = make_loader(images(Jitter(4, mirror=True)), batch_size=4, train=True, temporal=False)
    return ClassificationTask(build_model(experiment, INFO), experiment, INFO, loader, loader)


def test_batches_are_made_where_the_samples_are():
    dataset = images(Jitter(4, mirror=True)).to(META)
    assert dataset.device == META
    assert dataset.nbytes == 12 * 3 * 32 * 32
    loader = make_loader(dataset, batch_size=4, train=True, temporal=False)
    batches = list(loader)
    assert len(batches) == 3
    assert all(x.device == labels.device == META and x.shape == (4, 3, 32, 32) for x, labels in batches)


def test_moving_changes_no_batch():
    there, moved = images(Jitter(4, mirror=True)), images(Jitter(4, mirror=True)).to(torch.device("cpu"))
    options = {"batch_size": 4, "train": True, "temporal": False, "seed": 3}
    for (x, _), (y, _) in zip(make_loader(there, **options), make_loader(moved, **options), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix"])
@pytest.mark.parametrize("attention", ["dta", "tcja"])
def test_a_step_never_waits(mix, attention):
    experiment = small(attention=attention, mix=mix, mix_probability=1.0, cutout=8)
    task = task_for(experiment).to(META)
    x, labels = images().to(META).fetch(torch.arange(4))
    optimizer = build_optimizer(task.model, experiment)
    for index in (1, 2):
        optimizer.zero_grad()
        task.training_step((x, labels), index).backward()
        optimizer.step()
    assert task.train_loss.device == META  # added up where it was computed
    with pytest.raises(RuntimeError, match="meta"):
        float(task.train_loss)


def test_convolutions_are_channels_last_on_a_gpu_and_stay_so():
    model = build_model(small(), INFO)
    before = {name: p.clone() for name, p in model.named_parameters()}
    assert laid_out_for(Machine(torch.device("cpu")), model) is model
    weight = model.stages[0][0].conv1.conv.weight
    assert weight.is_contiguous()
    model = laid_out_for(Machine(torch.device("cuda")), model)
    weight = model.stages[0][0].conv1.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    out = model.stages[0][0](model.stem_neuron(model.stem(torch.randn(2, 3, 3, 16, 16))))
    assert out.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_compiled_training_runs_through_torch_compile(monkeypatch):
    calls = []

    def compile_(function, **options):
        calls.append(options)
        return lambda x: function(x) + 1

    monkeypatch.setattr(torch, "compile", compile_)
    x = torch.randn(2, 3, 32, 32)
    task = task_for(small(compile=True))
    assert calls == [{"dynamic": False}]
    assert torch.equal(task.train_forward(x), task.model(x) + 1)
    task = task_for(small())
    assert len(calls) == 1
    assert torch.equal(task.eval().train_forward(x), task.model(x))


def test_cutout_blanks_one_square_per_sample():
    torch.manual_seed(0)
    x = torch.ones(200, 2, 10, 12)
    out = cutout(x, 4)
    blank = out == 0
    assert torch.equal(blank[:, 0], blank[:, 1])
    rows, columns = blank[:, 0].any(2).sum(1), blank[:, 0].any(1).sum(1)
    assert torch.equal(blank[:, 0].sum((1, 2)), rows * columns)
    assert {int(rows.max()), int(columns.max())} == {4}
    assert int(rows.min()) >= 1
    assert len({tuple(b.flatten().tolist()) for b in blank[:, 0]}) > 50  # drawn per sample
    assert cutout(x, 0) is x
    sequence = cutout(torch.ones(3, 5, 2, 10, 12), 4, batch_dim=1)
    assert all(torch.equal(sequence[0], step) for step in sequence)
    assert not torch.equal(sequence[0, 0], sequence[0, 1])


@pytest.mark.parametrize("field", ["compile", "grad_checkpointing"])
def test_generators_take_neither(field):
    with pytest.raises(ValueError, match="cutout, compile and grad_checkpointing are for networks that classify"):
        check_names(replace(get_recipe("mnist-fsvae"), **{field: True}))
