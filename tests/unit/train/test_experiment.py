"""What an experiment may be, and what is said when it is not."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, fields, replace

import pytest

from saccade.train.build import check_names
from saccade.train.check import RULES, check_experiment
from saccade.train.config import FREE_ON_RESUME, Experiment, differences, from_dict

GOOD = Experiment(recipe="r", model="m", data="d")


def test_defaults_are_fine():
    check_experiment(GOOD)


@pytest.mark.parametrize("name", ["lr", "width", "mix_alpha", "gradient_clip", "ema_decay", "validation"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "3"])
def test_numbers_that_make_no_sense_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .* not {value!r}"):
        check_experiment(replace(GOOD, **{name: value}))


@pytest.mark.parametrize("name", ["steps", "epochs", "batch_size", "max_batches", "image_size"])
@pytest.mark.parametrize("value", [0, -3, 1.5, True])
def test_counts_are_whole_and_positive(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number, 1 or more"):
        check_experiment(replace(GOOD, **{name: value}))


@pytest.mark.parametrize("name", ["mix", "optimizer", "device", "precision", "placement"])
def test_unknown_choices_list_the_known_ones(name):
    with pytest.raises(ValueError, match=f"Unknown {name} 'x'. Known: "):
        check_experiment(replace(GOOD, **{name: "x"}))


def test_a_warmup_as_long_as_the_training_is_refused():
    with pytest.raises(ValueError, match="warmup_epochs=2 leaves nothing of epochs=2"):
        check_experiment(replace(GOOD, epochs=2, warmup_epochs=2))


def test_compiled_training_chooses_itself_what_it_keeps():
    check_experiment(replace(GOOD, grad_checkpointing=True))
    with pytest.raises(ValueError, match="grad_checkpointing would do nothing"):
        check_experiment(replace(GOOD, grad_checkpointing=True, compile=True))


NUMBERS = {f.name: f.type for f in fields(Experiment) if f.type in ("int", "float", "int | None")}


def test_every_number_has_a_rule():
    assert NUMBERS.keys() == RULES.keys()


def refused(name, value):
    """Whether a value is refused in one sentence that names the field and quotes the value."""
    with pytest.raises(ValueError, match=f"^(Unknown )?{name} ") as caught:
        check_experiment(replace(GOOD, **{name: value}))
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 700
    return True


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, -1, 1e30, 10**30, pytest.param(10**6000, id="huge"), "3", True, [1], {}]
)
def test_no_number_takes_what_is_none_or_beyond_all_measure(name, value):
    assert refused(name, value)


@pytest.mark.parametrize("field", fields(Experiment), ids=lambda field: field.name)
def test_no_field_takes_another_type(field):
    """Also on its way from a config.json, before anything is done with it."""
    others = {"no": "str", 3: "int", 0.5: "float", True: "bool", None: "None", (1,): "list", b"x": "bytes"}
    ours = "str" if field.type.startswith("Literal") else field.type
    for value, kind in others.items():
        if kind in ours or (kind == "int" and "float" in ours):
            continue
        assert refused(field.name, value)
        if field.name != "augment":  # a bool there is of 0.1.0
            with pytest.raises(ValueError, match=rf"^{field.name} must be .*, not {re.escape(repr(value))}\."):
                from_dict({**asdict(GOOD), field.name: value})


@pytest.mark.parametrize("name", ["model_options", "attention_options"])
@pytest.mark.parametrize("value", [{"a": math.nan}, {"a": [1, math.inf]}, {"a": {"b": 1}}, {3: 1}, {"a": object()}])
def test_options_are_plain_and_finite(name, value):
    assert refused(name, value)
    check_experiment(replace(GOOD, **{name: {"a": (1, 2.5), "b": "x", "c": False, "d": None}}))


def test_a_long_value_is_cut_where_it_is_quoted():
    with pytest.raises(ValueError, match=r"^lr must be a finite number above 0, not 'x{59}\.\.\.\.$"):
        check_experiment(replace(GOOD, lr="x" * 10**6))


def test_experiments_survive_a_dict_and_differ_by_name():
    assert from_dict(asdict(GOOD)) == GOOD
    assert differences(GOOD, replace(GOOD, lr=3.0, seed=1)) == {"lr": (0.1, 3.0), "seed": (0, 1)}
    with pytest.raises(ValueError, match=r"Unknown field 'epoch' of an experiment\. Did you mean 'epochs'"):
        from_dict({**asdict(GOOD), "epoch": 3})
    with pytest.raises(ValueError, match="not a whole experiment"):
        from_dict({"recipe": "r"})


def test_what_may_change_on_resume_are_fields():
    assert set(FREE_ON_RESUME) <= {f.name for f in fields(Experiment)}


@pytest.mark.parametrize(
    ("old", "loss", "read"),
    [
        (True, "ce", "standard"),
        (False, "ce", "none"),
        (True, "mmd", "mirror"),
        (False, "kld", "none"),
        ("dta", "ce", "dta"),
    ],
)
def test_augmentation_was_true_or_false_once(old, loss, read):
    assert from_dict({**asdict(GOOD), "loss": loss, "augment": old}).augment == read


@pytest.mark.parametrize("wrong", [1, 0, None, ["dta"], {}])
def test_augmentation_of_another_type_is_refused(wrong):
    with pytest.raises(ValueError, match="augment is the name of an augmentation policy"):
        from_dict({**asdict(GOOD), "augment": wrong})


def test_an_unknown_augmentation_policy_is_refused_before_any_work():
    experiment = replace(GOOD, model="msresnet18", data="digits")
    check_names(replace(experiment, augment="tcja"))
    with pytest.raises(ValueError, match=r"Unknown augmentation policy 'no'\. Did you mean 'none'"):
        check_names(replace(experiment, augment="no"))
