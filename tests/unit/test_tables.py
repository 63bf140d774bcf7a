"""Tables, as text and as HTML."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from saccade.tables import Rows, RunResult, format_table, html_table, result_table


def test_columns_are_aligned_and_numbers_stand_right():
    table = format_table([("zero", "1.5%"), ("one", "100.0%")], ("class", "accuracy"))
    assert table.splitlines() == [
        "class  accuracy",
        "-----  --------",
        "zero       1.5%",
        "one      100.0%",
    ]


def test_words_stand_left_and_lines_have_no_trailing_blanks():
    assert format_table([("a", "x"), ("bbb", "long")]).splitlines() == ["a    x", "bbb  long"]
    assert format_table([]) == ""


def test_ragged_rows_are_refused():
    with pytest.raises(ValueError, match=r"same number of cells, but they have \[2, 1\]"):
        format_table([("a", "b"), ("c",)])


def test_the_result_of_a_run_in_words():
    result = {
        "test_accuracy": 0.9721,
        "test_samples": 359,
        "test_top5": None,
        "parameters": 204495,
        "firing_rate": 0.1834,
        "seconds_per_step": 0.0312,
        "seconds": 61.04,
        "epochs": 12,
        "run_dir": "runs/x",
    }
    table = result_table(result)
    for text in ("97.21% of 359 samples", "204,495", "0.1834", "31.2 ms", "61.0 s for 12 epochs", "runs/x"):
        assert text in table
    assert "top-5" not in table
    assert "99.50%" in result_table({**result, "test_top5": 0.995})
    assert '<td style="text-align: left">97.21% of 359 samples</td>' in RunResult(result)._repr_html_()


def test_html_is_escaped_and_numbers_stand_right():
    html = html_table([("<b>", "1.5%")], ("class", "a & b"), caption="x < y", note="<script>")
    assert html == (
        "<table><caption>x &lt; y</caption>"
        '<thead><tr><th style="text-align: left">class</th><th style="text-align: right">a &amp; b</th></tr></thead>'
        '<tbody><tr><td style="text-align: left">&lt;b&gt;</td><td style="text-align: right">1.5%</td></tr></tbody>'
        "</table><p>&lt;script&gt;</p>"
    )
    assert html_table([]) == "<table><tbody></tbody></table>"
    with pytest.raises(ValueError, match="same number of cells"):
        html_table([("a",)], ("a", "b"))


class Named(NamedTuple):
    name: str
    value: str


class Celled:
    def cells(self) -> dict[str, str]:
        return {"name": "x", "value": "1"}


@pytest.mark.parametrize("row", [Named("x", "1"), Celled()])
def test_rows_are_a_table_as_text_and_in_a_notebook(row):
    rows = Rows([row], note="why & how")
    assert str(rows).splitlines() == ["name  value", "----  -----", "x         1", "why & how"]
    assert rows._repr_html_() == html_table([("x", "1")], ("name", "value"), note="why & how")
    assert (str(Rows()), str(Rows(note="none"))) == ("", "none")
