"""Looking inside from the command line: gates, CAM, energy and the page, from a run of a few batches."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from saccade.cli import main
from saccade.report.blocks import Report

TINY = ["--width", "0.05", "--steps", "3", "--max-batches", "2", "--epochs", "1"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("inside") / "run"
    assert main(["train", "digits-dta", *TINY, "--run-dir", str(path)]) == 0
    return path


@pytest.mark.parametrize("verb", ["cam", "gates", "energy"])
def test_findings_lie_in_the_run(verb, run_dir, capsys):
    assert main([verb, str(run_dir)]) == 0
    assert capsys.readouterr().out.strip()
    found = json.loads((run_dir / "probe" / f"{verb}.json").read_text())
    assert found


def test_the_page_needs_no_network_and_no_weights(run_dir, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    (run / "weights.safetensors").unlink()
    assert main(["report", str(run)]) == 0
    page = (run / "report" / "report.html").read_text()
    assert not re.search(r"""(?:src|href)=["']https?:""", page)
    assert "Confusion matrix" in page
    assert len(page) < 3_000_000
    assert "Confusion matrix" in (run / "report" / "report.md").read_text()


def test_one_command_draws_the_rows_of_several_runs(run_dir, tmp_path, capsys):
    """The figure is that of the arrays: a row of inputs, and a row for each run."""
    runs = [tmp_path / "one", tmp_path / "two"]
    for run in runs:
        shutil.copytree(run_dir, run)
    figure = tmp_path / "figure.png"
    few = ["--deletion-samples", "8", "--indices", "0", "5", "--figure", str(figure)]
    assert main(["cam", *map(str, runs), *few]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert str(figure) in capsys.readouterr().out
    assert json.loads((runs[0] / "probe" / "cam.json").read_text())["indices"] == [0, 5]
    assert main(["cam", str(runs[0]), "--deletion-samples", "0", "--indices", "1"]) == 0
    assert main(["report", *map(str, runs)]) == 0  # other samples: figures of their own
    assert "<svg" in (tmp_path / "report" / "report.html").read_text()


def test_costs_of_ones_own(run_dir, tmp_path, capsys):
    table = tmp_path / "chip.json"
    table.write_text('{"mac_pj": 1, "ac_pj": 0, "mul_pj": 0, "add_pj": 0, "source": "our chip"}')
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    assert main(["energy", str(run), "--samples", "4", "--table", str(table)]) == 0
    found = json.loads((run / "probe" / "energy.json").read_text())
    assert found["energy_mj"] == pytest.approx(found["sums"]["total"]["macs"] / 4 * 1e-9)
    assert "our chip" in capsys.readouterr().out


def test_the_page_keeps_the_costs(run_dir, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    (run / "probe" / "energy.json").unlink(missing_ok=True)
    for slow in ("cam.probe_cam", "gates.probe_gates", "report.probe_predictions"):
        monkeypatch.setattr(f"saccade.cli.{slow}", lambda *_: None)
    monkeypatch.setattr("saccade.report.build.build_report", lambda runs: Report("", "", []))  # nothing to draw
    found = []
    for words in (["report", "--probe"], ["energy", "--table", "45nm-int8"], ["report", "--probe"]):
        assert main([words[0], str(run), *words[1:]]) == 0
        found.append(json.loads((run / "probe" / "energy.json").read_text())["table"]["name"])
    assert found == ["45nm-float32", "45nm-int8", "45nm-int8"]


def test_a_folder_that_is_no_run_gets_a_sentence(tmp_path, capsys):
    for verb in ("cam", "gates", "energy", "report"):
        assert main([verb, str(tmp_path / "nowhere")]) == 2
        err = capsys.readouterr().err
        assert "nowhere" in err
        assert err.count("\n") == 1
