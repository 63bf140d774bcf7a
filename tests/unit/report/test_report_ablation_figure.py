"""The figure of an ablation: nothing is cut off, however long the variants' names are."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib", reason="draws")
from saccade.report.figures import ablation_figure


@pytest.mark.parametrize("name", ["dta", "attention=dta, attention_options.causal=true"])
def test_all_words_lie_within_the_figure(name):
    figure = ablation_figure({"none": [97.6, 97.4], name: [98.5, 98.0]})
    figure.draw_without_rendering()
    (axis,) = figure.axes
    for text in (*axis.get_yticklabels(), *figure.texts, figure._supxlabel):
        extent = text.get_window_extent()
        assert figure.bbox.x0 <= extent.x0
        assert extent.x1 <= figure.bbox.x1
