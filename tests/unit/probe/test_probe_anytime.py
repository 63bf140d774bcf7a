"""Answers before the last step: the arithmetic by hand, and the stream against the whole sequence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saccade
from saccade.engines import Stream
from saccade.engines.streaming import gates_over_time
from saccade.models.network import Classifier
from saccade.nn.attention import create_attention
from saccade.nn.shape import Flat
from saccade.probe import anytime, early_exit
from saccade.report.figures import anytime_figure, to_png


class Told(Classifier):
    """Puts out its input: [T, B, K, 1, 1] -> [T, B, K]."""

    def links(self):
        return [("flat", Flat())]


#: log-odds of two classes at three steps, for three samples that belong to class 0
LOGITS = torch.tensor(
    [[[4.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [[0.0, 4.0], [3.0, 0.0], [0.0, 1.0]], [[0, 4], [9, 0], [0, 1]]]
)


def test_steps_and_exits_by_hand():
    model = Told(num_classes=2, steps=3, in_channels=2)
    found = anytime(model, [(LOGITS[..., None, None], torch.zeros(3, dtype=torch.int64))], [0.9, 0.7, 1.0])
    # running means of class 0 minus class 1: sample 0: 4, 0, -4/3; sample 1: -1, 1, 11/3; sample 2: -1, -1, -1
    assert found.accuracy_by_steps == pytest.approx([1 / 3, 2 / 3, 1 / 3])
    strict, loose, never = found.exits
    assert (strict.accuracy, strict.mean_steps) == pytest.approx((2 / 3, 7 / 3))  # sigmoid(4) at 1, the rest at 3
    assert (loose.accuracy, loose.mean_steps) == pytest.approx((1 / 3, 1.0))  # sigmoid(1) = 0.73 will do
    assert (never.accuracy, never.mean_steps) == pytest.approx((1 / 3, 3.0))
    assert found.highest_confidence == pytest.approx(torch.tensor(4.0).sigmoid().item())
    assert found.gates_over_time == []


def test_batches_add_up():
    model, labels = Told(num_classes=2, steps=3, in_channels=2), torch.zeros(3, dtype=torch.int64)
    x = LOGITS[..., None, None]
    assert anytime(model, [(x[:, :1], labels[:1]), (x[:, 1:], labels[1:])]) == anytime(model, [(x, labels)])


def test_bad_input_gets_a_sentence():
    model = Told(num_classes=2, steps=3, in_channels=2)
    with pytest.raises(ValueError, match=r"A threshold is a confidence above 0 and up to 1, not 1\.5"):
        anytime(model, [], [1.5])
    with pytest.raises(ValueError, match="There are no samples"):
        anytime(model, [])


def test_a_network_is_left_as_it_was(lively, untouched):
    model, x = lively(attention="tcja")
    untouched(model, lambda: anytime(model, [(x, torch.zeros(x.shape[1], dtype=torch.int64))]))
    plain, x = lively()
    untouched(plain, lambda: early_exit(plain, x, 0.5))


@pytest.mark.parametrize("name", saccade.list_attention())
def test_which_gates_look_at_other_steps(name):
    """A gate that says so does not change at the first steps when later ones do; the rest do change."""
    torch.manual_seed(0)
    attention = create_attention(name, channels=16, steps=4).double().eval()
    x = torch.rand(4, 2, 16, 6, 6, dtype=torch.float64) + 0.5
    other = torch.cat((x[:2], 2 * x[2:]))

    def first(source: Tensor) -> Tensor:
        return attention.compute_gate(source).expand_as(source)[:2]

    same = torch.allclose(first(x), first(other), rtol=0, atol=1e-12)
    assert same == (attention.looks_at_steps in ("own", "past"))


def test_an_early_exit_answers_what_the_curve_says(lively):
    model, x = lively(batch=12)
    model, x = model.double(), x.double()
    labels = torch.arange(12) % 10
    confident = anytime(model, [(x, labels)], [0.3]).highest_confidence
    for threshold in (0.3, 0.6 * confident, 0.9 * confident, 1.0):
        curve = anytime(model, [(x, labels)], [threshold]).exits[0]
        found = early_exit(model, x, threshold)
        assert float(found.steps.double().mean()) == curve.mean_steps
        assert float((found.answers == labels).double().mean()) == curve.accuracy


def test_nothing_is_computed_for_samples_that_left(lively, monkeypatch):
    model, x = lively()
    fed = []
    step = Stream.step
    monkeypatch.setattr(Stream, "step", lambda self, x_t: fed.append(len(x_t)) or step(self, x_t))
    early_exit(model, x, 1e-6)
    assert fed == [4]
    fed.clear()
    early_exit(model, x, 1.0)
    assert len(fed) == 3


@pytest.mark.parametrize("attention", ["dta", "tcja", "tla", "ca"])
def test_gates_over_time_cannot_be_streamed(lively, attention):
    model, x = lively(attention=attention)
    assert gates_over_time(model)
    with pytest.raises(ValueError, match=rf"{attention.upper()} at .* looks at all 3 steps before the first output"):
        early_exit(model, x, 0.5)
    labels = torch.zeros(x.shape[1], dtype=torch.int64)
    assert "saves steps of the read-out and no computation" in anytime(model, [(x, labels)]).saves()


def test_the_figure_draws_both_curves():
    figure = anytime_figure([0.5, 0.8, 0.9], [{"threshold": 0.5, "accuracy": 0.7, "mean_steps": 1.2}])
    top, bottom = figure.axes
    assert list(top.lines[0].get_ydata()) == [0.5, 0.8, 0.9]
    assert list(top.lines[1].get_xdata()) == [1.2]
    assert [label.get_text() for label in bottom.get_xticklabels()] == ["0.5"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_it_is_two_tables_as_text_and_in_a_notebook():
    found = anytime(
        Told(num_classes=2, steps=3, in_channels=2), [(LOGITS[..., None, None], torch.zeros(3).long())], [0.9]
    )
    html = found._repr_html_()
    assert html.count("<table>") == 2
    for cell in ("steps", "66.67%", "confidence", "2.33", "The highest confidence before the last step is 0.9820."):
        assert cell in str(found)
        assert cell in html
