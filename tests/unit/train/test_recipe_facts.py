"""What the recipes say of themselves: the network on the published data, and the paper's score."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from saccade.data import DataInfo, DataRequest, load_data
from saccade.data.events import EVENT_SETS
from saccade.recipes import Reported, get_recipe, list_recipes, papers_score, recipe_entry, recipe_text
from saccade.recipes.registry import UNCHECKED
from saccade.tables import paper_text
from saccade.train.build import build_model, input_size
from saccade.train.config import Experiment

#: data set -> channels, height, width, classes and whether samples are sequences, as published
PUBLISHED = {
    "mnist": (1, 28, 28, 10, False),
    "fashion-mnist": (1, 28, 28, 10, False),
    "cifar10": (3, 32, 32, 10, False),
    "cifar10-jpeg": (3, 32, 32, 10, False),
    "cifar100": (3, 32, 32, 100, False),
    "folder": (3, 224, 224, 1000, False),
    "digits": (2, 16, 16, 10, True),
    "nmnist": (2, 34, 34, 10, True),
    "cifar10-dvs": (2, 128, 128, 10, True),
    "dvs128-gesture": (2, 128, 128, 11, True),
    "n-caltech101": (2, 180, 240, 101, True),
}
SCORED = [name for name in list_recipes() if recipe_entry(name).reported]


def published(e: Experiment) -> DataInfo:
    channels, height, width, classes, temporal = PUBLISHED[e.data]
    size = (height, width) if e.image_size is None else (e.image_size, e.image_size)
    return DataInfo(e.data, classes, channels, size, temporal, ())


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_builds_the_network_of_its_figures_for_the_published_data(name):
    e, figures = replace(get_recipe(name), backend="reference"), recipe_entry(name).figures
    assert figures is not None
    info = published(e)
    # the VAE draws numbers, which have to be real
    device = "cpu" if e.model == "fsvae" else "meta"
    with torch.device(device):
        model = build_model(e, info).eval()
        images = torch.zeros(1, info.in_channels, *info.size)
        x = images.expand(e.steps, *images.shape) if info.temporal else images
        assert sum(p.numel() for p in model.parameters()) == figures.parameters
        seen: list[tuple[int, ...]] = []
        first = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
        first.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[-3:])))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(x)
    assert seen[0] == figures.sees
    assert counter.get_total_flops() / 2e9 == pytest.approx(figures.gmacs, rel=1e-3)


def test_the_published_sizes_are_those_that_are_loaded():
    info = load_data(DataRequest("digits", steps=5)).info
    channels, height, width, classes, temporal = PUBLISHED["digits"]
    assert (info.in_channels, info.size, info.num_classes, info.temporal) == (
        channels,
        (height, width),
        classes,
        temporal,
    )


@pytest.mark.parametrize(
    ("model", "size", "wanted"),
    [
        ("vggsnn", (128, 128), (48, 48)),
        ("vggsnn", (34, 34), (34, 34)),
        ("vggsnn_tet", (128, 128), (128, 128)),
        ("msresnet18", (128, 128), (128, 128)),
    ],
)
def test_larger_frames_are_pooled_where_that_is_published(model, size, wanted):
    assert input_size(model, DataInfo("d", 10, 2, size, True, ())) == wanted


@pytest.mark.parametrize("name", SCORED)
def test_a_papers_score_stands_in_its_field_and_nowhere_else(name):
    reported = recipe_entry(name).reported
    assert reported is not None
    assert reported.checked == UNCHECKED
    assert "quoted" in reported.source or "read by eye" in reported.source
    text = recipe_text(name)
    assert not re.search(rf"(?<![\d.]){reported.value:g}0*(?!\d)", text)
    assert "is reported" not in text


@pytest.mark.parametrize(
    ("name", "policy", "batch_size"),
    [
        ("dvs128-gesture-tcja", "none", 16),
        ("cifar10-dvs-tcja", "tcja", 16),
        ("cifar10-dvs-tcja-tet", "tcja", 64),
        ("cifar10-dvs-dta", "dta", 64),
        ("n-caltech101-tcja-tet", None, 16),
        ("n-caltech101-tcja-vggsnn-tet", None, 16),
    ],
)
def test_augmentation_and_batches_are_the_released_scripts(name, policy, batch_size):
    """None: the recipe says that its policy is ours."""
    experiment = get_recipe(name)
    own = next(s.policy for s in EVENT_SETS.values() if s.name == experiment.data)
    used = own if experiment.augment == "standard" else experiment.augment
    assert experiment.batch_size == batch_size
    assert policy in (used, None)
    if policy is None:
        assert "a policy of ours" in recipe_text("n-caltech101-tcja")


def test_a_variant_inherits_no_score():
    assert recipe_entry("cifar10-speedrun").reported is None  # an edited cifar10-dta


def test_the_paper_beside_a_changed_run_says_what_was_changed():
    whole = papers_score(replace(get_recipe("cifar10-dta"), seed=3, device="cpu"))
    assert whole == {
        "value": 96.73,
        "metric": "test accuracy, %",
        "source": recipe_entry("cifar10-dta").reported.source,
        "chosen": "maximum over epochs on the test set",
        "checked": "as quoted, not checked by us",
        "recipe_changed_in": [],
    }
    changed = papers_score(replace(get_recipe("cifar10-dta"), attention="none", width=0.5))
    assert changed is not None
    assert changed["recipe_changed_in"] == ["attention", "width"]
    assert paper_text(changed).endswith("as quoted, not checked by us); this run changed attention, width")
    assert papers_score(get_recipe("digits-dta")) is None
    assert papers_score(replace(get_recipe("cifar10-dta"), recipe="of-ones-own")) is None


def test_a_score_in_words():
    assert str(Reported(1.5, "loss", "a page")) == (
        "1.5 (loss; maximum over epochs on the test set; as quoted, not checked by us)"
    )
