"""Ablations: which runs a grid has, the width-matched control, the statistics, the tables."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, replace

import pytest
from scipy import stats

from saccade.ablate import Grid, Search, compare, parse_search, parse_vary, summarise, width_matched
from saccade.ablate.control import parameters
from saccade.ablate.statistics import Comparison, holm
from saccade.data import DataInfo
from saccade.recipes import get_recipe
from saccade.report.ablation import cells, csv_text, markdown, search_markdown
from saccade.report.figures import ablation_figure, to_png
from saccade.report.latex import escaped, latex

INFO = DataInfo(
    name="digits",
    num_classes=10,
    class_names=tuple("0123456789"),
    in_channels=2,
    size=(24, 24),
    temporal=True,
    note="stand-in",
)


def no_control(experiment):
    raise AssertionError("no control was asked for")


def record(variant, seed, accuracy, by_epoch=None, **more):
    return {
        "cell": f"{variant}-seed{seed}",
        "varied": {"attention": variant},
        "seed": seed,
        "test_accuracy": accuracy,
        "epochs_scored": {"part": "test", "accuracy": by_epoch or [accuracy]},
        "energy": {
            "sums": {"total": {"macs": 640, "acs": 6400}},
            "samples": 64,
            "energy_mj": 2e-3,
            "relu_energy_mj": 1e-3,
        },
        "parameters": 1234,
        "seconds": 60.0,
        "firing_rate": 0.2,
        **more,
    }


class TestGrid:
    def test_every_combination_with_every_seed(self):
        vary = parse_vary(["attention=none,dta", "steps=2,4"])
        cells = Grid(replace(get_recipe("digits-dta"), seed=7), vary, seeds=2).cells(no_control)
        found = [(c.experiment.attention, c.experiment.steps, c.experiment.seed) for c in cells]
        assert found == [(a, t, s) for s in (7, 8) for a in ("none", "dta") for t in (2, 4)]
        assert len({c.name for c in cells}) == 8
        assert cells[0].label == "attention=none, steps=2"

    def test_entries_of_options_can_vary(self):
        grid = Grid(get_recipe("mnist-tcja"), parse_vary(["attention-options.kernel_time=1,2"]), seeds=1)
        cells = grid.cells(no_control)
        assert [c.experiment.attention_options["kernel_time"] for c in cells] == [1, 2]
        assert all(c.experiment.model_options == get_recipe("mnist-tcja").model_options for c in cells)

    def test_options_stay_with_their_attention(self):
        base = replace(get_recipe("digits-dta"), attention="tcja", attention_options={"kernel_time": 4})
        cells = Grid(base, {"attention": ["tcja", "dta"]}, seeds=1).cells(no_control)
        assert [c.experiment.attention_options for c in cells] == [{"kernel_time": 4}, {}]

    def test_the_control_is_made_from_the_attention(self):
        base = replace(get_recipe("digits-dta"), attention_options={"placement": "current"})
        asked = []
        grid = Grid(base, {"attention": ["none", "matched:dta"]}, seeds=1)
        cells = grid.cells(lambda e: asked.append(e) or replace(e, attention="none", width=9.0))
        assert [(e.attention, e.attention_options) for e in asked] == [("dta", {"placement": "current"})]
        assert (cells[1].experiment.width, cells[1].label, cells[1].name) == (9.0, "matched:dta", "matched-dta-seed0")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["attention"], "--vary takes FIELD=VALUE"),
            (["attention="], "--vary takes FIELD=VALUE"),
            (["steps=1", "steps=2"], "steps is varied twice"),
        ],
    )
    def test_words_that_make_no_sense(self, words, said):
        with pytest.raises(ValueError, match=said):
            parse_vary(words)

    @pytest.mark.parametrize(
        ("vary", "seeds", "said"),
        [
            ({"attentoin": ["none"]}, 1, "Did you mean 'attention'"),
            ({"seed": ["1"]}, 1, "Unknown field to vary 'seed'"),
            ({"attention": ["none", "none"]}, 1, "Two of the varied values are the same"),
            ({}, 1, "varies something"),
            ({"attention": ["none"]}, 0, "1 seed or more"),
        ],
    )
    def test_grids_that_make_no_sense(self, vary, seeds, said):
        with pytest.raises(ValueError, match=said):
            Grid(get_recipe("digits-dta"), vary, seeds).cells(no_control)


class TestSearch:
    BASE = replace(get_recipe("digits-dta"), validation=0.1, seed=3)
    WORDS = ("lr=loguniform(1e-3,1)", "width=uniform(0.5,2)", "steps=integer(2,4)", "attention=choice(none,dta)")

    def test_draws_lie_where_they_should_and_do_not_depend_on_their_number(self):
        distributions = parse_search(self.WORDS)
        cells = Search(self.BASE, distributions, trials=50).cells(no_control)
        drawn = [cell.experiment for cell in cells]
        assert all(1e-3 <= e.lr <= 1 and 0.5 <= e.width <= 2 for e in drawn)
        assert {e.steps for e in drawn} == {2, 3, 4}
        assert {e.attention for e in drawn} == {"none", "dta"}
        assert sum(e.lr < 0.03 for e in drawn) in range(15, 36)  # half of the draws lie below the geometric mean
        assert {e.seed for e in drawn} == {3}
        fewer = Search(self.BASE, distributions, trials=7).cells(no_control)
        assert [cell.experiment for cell in fewer] == drawn[:7]
        assert len({cell.name for cell in cells}) == 50

    def test_every_trial_has_every_seed(self):
        cells = Search(self.BASE, {"lr": "uniform(0.1,1)"}, trials=2, seeds=2).cells(no_control)
        assert [(c.name, c.experiment.seed) for c in cells] == [
            *[("trial000-seed3", 3), ("trial001-seed3", 3), ("trial000-seed4", 4), ("trial001-seed4", 4)]
        ]
        assert cells[0].experiment.lr == cells[2].experiment.lr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["lr"], "--search takes FIELD=DISTRIBUTION"),
            (["lr=0.1"], "Unknown distribution '0.1'"),
            (["lr=loguniform(0,1)"], "both bounds must be above 0"),
            (["lr=uniform(2,1)"], "must be below"),
            (["lr=uniform(1)"], "take two bounds"),
            (["lr=uniform()"], "no arguments"),
            (["lrr=uniform(0,1)"], "Unknown field to vary 'lrr'"),
        ],
    )
    def test_words_that_make_no_sense(self, words, said):
        with pytest.raises(ValueError, match=re.escape(said)):
            Search(self.BASE, parse_search(words), trials=1)

    def test_the_test_set_does_not_choose(self):
        with pytest.raises(ValueError, match=r"--validation 0\.1"):
            Search(replace(self.BASE, validation=0.0), {"lr": "uniform(0,1)"}, trials=1)


class TestControl:
    @pytest.mark.parametrize("attention", ["tcja", "dta", "txa"])
    def test_as_many_parameters_and_no_attention(self, attention):
        base = replace(get_recipe("digits-dta"), attention=attention)
        control = width_matched(base, INFO)
        target, found = parameters(base, INFO), parameters(control, INFO)
        assert control.attention == "none"
        assert abs(found - target) / target < 0.03
        for other in (control.width * 0.98, control.width * 1.02):
            assert abs(parameters(replace(control, width=other), INFO) - target) >= abs(found - target)

    def test_too_large_an_attention(self, monkeypatch):
        monkeypatch.setattr("saccade.ablate.control.MOST", 1.001)
        with pytest.raises(ValueError, match="There is no width-matched control"):
            width_matched(replace(get_recipe("digits-dta"), attention="tcja"), INFO)


class TestStatistics:
    A = (0.91, 0.93, 0.925, 0.94, 0.9)
    B = (0.90, 0.915, 0.93, 0.93, 0.9)

    def test_the_paired_test_is_scipys(self):
        found = compare(
            [record("a", s, v) for s, v in enumerate(self.A)], [record("b", s, v) for s, v in enumerate(self.B)]
        )
        expected = stats.ttest_rel([100 * v for v in self.A], [100 * v for v in self.B])
        interval = expected.confidence_interval(0.95)
        assert found.p == pytest.approx(expected.pvalue)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert found.mean == pytest.approx(0.6)

    def test_only_common_seeds_are_compared(self):
        a = [record("a", s, v) for s, v in ((0, 0.5), (1, 0.6), (5, 0.9))]
        b = [record("b", s, v) for s, v in ((1, 0.5), (0, 0.5), (7, 0.1))]
        found = compare(a, b)
        assert (found.pairs, found.mean) == (2, pytest.approx(5))
        assert compare(a[:1], b[:1]) is None
        assert compare(a[:1], b[1:2]).p is None

    def test_holm_by_hand(self):
        found = holm({name: Comparison(5, 1.0, 0, 2, p) for name, p in (("x", 0.01), ("y", 0.04), ("z", 0.03))})
        assert {name: c.p_holm for name, c in found.items()} == pytest.approx({"x": 0.03, "z": 0.06, "y": 0.06})

    def test_last_and_maximum_are_told_apart(self):
        row = summarise([record("none", 0, 0.8, [0.7, 0.9, 0.8]), record("none", 1, 0.9, [0.7, 0.9, 0.9])], ["none"])[0]
        assert (row.last_mean, row.max_mean) == pytest.approx((85, 90))
        assert (row.macs, row.acs, row.energy_nj) == pytest.approx((10, 100, 2000))

    def test_spikes_that_cost_more_than_relu_show_it(self):
        records = [record("none", seed, 0.8) for seed in range(2)]
        (row,) = summarise(records, ["none"])
        assert (row.relu_ratio, row.papers_relu_ratio) == (0.5, None)
        assert cells(asdict(row))[-3:-1] == ("0.50", "")
        for r, energy in zip(records, (1e-3, 2e-3), strict=True):
            r["energy"]["papers"] = {"energy_mj": energy, "relu_energy_mj": 4e-3}
        (row,) = summarise(records, ["none"])
        assert row.papers_relu_ratio == pytest.approx((4 + 2) / 2)
        assert cells(asdict(row))[-3:-1] == ("0.50", "3.00")


def generated(variant, seed, error, distance=1.5):
    found = record(variant, seed, 0.0, test_reconstruction=error, frechet_autoencoder_distance=distance)
    del found["test_accuracy"]
    return {**found, "epochs_scored": {"part": "test", "reconstruction": [2 * error, error / 2, error]}}


class TestGeneration:
    RECORDS = tuple(generated(v, s, e + 0.01 * s) for v, e in (("none", 0.2), ("tcja", 0.1)) for s in range(2))

    def test_the_error_is_the_score_and_less_of_it_is_better(self):
        none, tcja = summarise(self.RECORDS, ["none", "tcja"])
        assert none.score == "reconstruction"
        assert (none.last_mean, none.max_mean) == pytest.approx((0.205, 0.1025))
        assert tcja.comparison.mean == pytest.approx(-0.1)

    def test_tables_name_it_and_show_the_distance(self):
        text = markdown([asdict(row) for row in summarise(self.RECORDS, ["none", "tcja"])])
        assert "| last epoch, error | min over epochs, error | difference |" in text
        assert "accuracy" not in text
        assert text.splitlines()[3].startswith("| tcja | 2 | 0.1050 ± 0.0071 |")
        assert text.splitlines()[3].endswith("| 1.50 |")


class TestTables:
    def test_the_trials_of_a_search_are_ranked(self):
        rows = [
            {
                "trial": f"trial00{n}",
                "varied": {"lr": lr},
                "seeds": [0],
                "score": "accuracy",
                "validation": v,
                "test": t,
            }
            for n, lr, v, t in ((1, "0.1", 80.0, 70.0), (0, "0.3", 60.0, 90.0))
        ]
        text = search_markdown(rows, "validation", ["trial002-seed0: stopped early, after epoch 2; not ranked."])
        assert "| 1 | trial001 | 0.1 | 1 | 80.00 |" in text
        assert "test accuracy, %: 70.00" in text
        assert "90.00" not in text  # the test set is looked at once
        assert "stopped early" in text

    def rows(self):
        records = [record(v, s, 0.8 + 0.01 * s + 0.013 * s * (v == "dta")) for v in ("none", "dta") for s in range(3)]
        return [asdict(row) for row in summarise(records, ["none", "dta", "missing"])]

    def test_markdown_labels_both_scores(self):
        lines = markdown(self.rows()).splitlines()
        assert len({line.count("|") for line in lines[:4]}) == 1
        assert "last epoch" in lines[0]
        assert "max over epochs" in lines[0]
        assert any("chosen on the test set" in line for line in lines)
        assert lines[2].startswith("| none | 3 | 81.00 ± 1.00 |")

    def test_csv_holds_the_numbers_unrounded(self):
        rows = list(csv.DictReader(io.StringIO(csv_text(self.rows()))))
        assert [row["label"] for row in rows] == ["none", "dta"]
        assert float(rows[1]["difference_mean"]) == pytest.approx(1.3)
        assert rows[0]["difference_mean"] == ""

    def test_latex_can_be_pasted(self):
        text = latex(self.rows(), "digits_50%", ["dta-seed9: stopped early."])
        body = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {line.count(" & ") for line in body} == {6}
        assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
            ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table")
        ]  # fmt: skip
        assert r"of digits\_50\%" in text
        assert r"mean $\pm$ sample standard deviation over 3 seeds" in text
        assert r"dta & \textbf{82.30} $\pm$ 2.30 & $+1.30$ &" in body[2]
        assert r"none & 81.00 $\pm$ 1.00 & " in body[1]
        assert text.startswith("% dta-seed9: stopped early.\n")
        assert "±" not in text

    def test_latex_marks_the_smallest_error_and_every_tie(self):
        means = zip(self.rows(), (0.2, 0.1), strict=True)
        rows = [{**row, "score": "reconstruction", "last_mean": mean} for row, mean in means]
        assert r"dta & \textbf{0.1000}" in latex(rows)
        assert r"none & 0.2000" in latex(rows)
        assert latex([{**row, "last_mean": 80.0} for row in self.rows()]).count(r"\textbf{80.00}") == 2

    def test_all_that_latex_takes_for_a_command_is_escaped(self):
        assert escaped(r"a_b & 50% #1 $x {y} \z ~ ^ <3 ±") == (
            r"a\_b \& 50\% \#1 \$x \{y\} \textbackslash{}z \textasciitilde{} \textasciicircum{} $<$3 $\pm$"
        )

    def test_the_figure_is_drawn(self):
        figure = ablation_figure({"none": [90.0, 91.0], "dta": [92.0]})
        assert to_png(figure).startswith(b"\x89PNG")
        assert not figure.axes[0].spines["top"].get_visible()  # drawn in the style of all figures
