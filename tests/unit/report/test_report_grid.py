"""The page of a grid of runs, from the records of a real one; and what the figures of a run say of empty maps."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_runs import edit

from saccade.cli import main
from saccade.report.build import write_report

RECORDS = Path(__file__).parents[3] / "results" / "digits-gates"


@pytest.fixture
def grid(tmp_path) -> Path:
    """A folder as `saccade ablate` leaves it, with three variants."""
    folder = tmp_path / "grid"
    (folder / "records").mkdir(parents=True)
    for record in RECORDS.glob("*-seed?.json"):
        if record.name.partition("-")[0] in ("none", "tcja", "dta"):
            shutil.copy(record, folder / "records")
    return folder


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]+>", " ", page, flags=re.S)).split())


def test_the_page_of_a_grid(grid, capsys):
    (grid / "table.json").write_text(json.dumps({"rows": [{"label": "tcja"}]}))
    (grid / "runs" / "dta-seed9").mkdir(parents=True)
    (grid / "runs" / "dta-seed9" / "config.json").write_text("{}")
    assert main(["report", str(grid)]) == 0
    page = (grid / "report" / "report.html").read_text()
    text = text_of(page)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles[0] == "Result"
    assert titles[-1] == "For a paper"
    assert "9 runs of 3 variants" in text
    assert "dta-seed9 has not ended, and is in no row." in text
    first = re.search(r"<tbody>\s*<tr><th scope=\"row\">(.*?)</th>", page)
    assert first[1] == "tcja"
    assert r"\begin{tabular}" in text
    assert page.count("<svg") == 2
    assert page.count("<details>") >= 4
    assert page.count("none-seed0") == 1
    markdown = (grid / "report" / "report.md").read_text()
    assert "```\n%" in markdown
    assert "scores.png" in markdown


def test_records_alone_will_do(tmp_path):
    shutil.copytree(RECORDS, tmp_path / "digits-gates")
    assert main(["report", str(tmp_path / "digits-gates")]) == 0
    page = (tmp_path / "digits-gates" / "report" / "report.html").read_text()
    assert re.search(r"<tbody>\s*<tr><th scope=\"row\">(.*?)</th>", page)[1] == "none"
    assert "69 runs of 23 variants" in text_of(page)


def test_settings_are_folded_and_empty_maps_say_so(make_run):
    run = make_run()
    arrays = dict(np.load(run / "probe" / "cam.npz"))
    arrays["maps"] = arrays["maps"].copy()
    arrays["maps"][:, 0] = 0
    np.savez(run / "probe" / "cam.npz", **arrays)
    page = write_report([run], run / "report").html.read_text()
    assert "Maps that are 0 everywhere: nothing in the layer speaks for the class." in page
    assert page.count(">all 0<") >= 2
    assert re.search(r"<summary>All settings</summary>\s*<div class=\"scroll\"", page)


def test_layers_in_which_nothing_fires_say_so(make_run):
    run = make_run()
    firing = json.loads((run / "probe" / "firing.json").read_text())
    for layer in firing["layers"]:
        layer["rate_per_step"] = [0.0] * len(layer["rate_per_step"])
    edit(run, "probe/firing.json", layers=firing["layers"])
    assert "no neuron fired" in write_report([run], run / "report").html.read_text()
