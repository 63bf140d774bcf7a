"""A run's folder that lacks a part still gives a page, and the page says what is missing."""

from __future__ import annotations

import html
import math
import re
from pathlib import Path

import pytest
from report_runs import deletion, edit, write

from report_headings import HEADINGS
from saccade.cli import main
from saccade.report.build import write_report


def page_of(*runs: Path) -> str:
    """The page's text; the Markdown must be there too, and say the same is missing."""
    out = runs[0].parent / "out"
    written = write_report(runs, out)
    page, markdown = written.html.read_text(), written.markdown.read_text()
    assert tuple(re.findall(r"<h2[^>]*>(.*?)</h2>", page)) == HEADINGS
    assert tuple(re.findall(r"^## (.*)$", markdown, re.M)) == HEADINGS
    assert page.count("<strong>Missing.</strong>") == markdown.count("**Missing.**")
    return html.unescape(re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]+>", "", page, flags=re.S))


def missing(page: str) -> str:
    """All sentences that say what is missing."""
    return " ".join(re.findall(r"Missing\. (.*)", page))


def test_nothing_is_missing_from_a_whole_run(make_run):
    page = page_of(make_run())
    assert "Missing." not in page
    assert "0123456789ab+changes" in page
    assert "12.5 (test accuracy, %; best epoch; as quoted, not checked by us); this run changed epochs" in page


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["result.json"], "no result.json: it is not finished, so there is no test score"),
        (["config.json"], "no usable config.json"),
        (["metrics.csv"], "no usable metrics.csv"),
        (["probe/predictions.json"], "no answers on the test part. saccade report RUN --probe"),
        (["probe/gates.json"], "no gates. saccade gates RUN"),
        (["probe/cam.json"], "no Grad-CAM maps. saccade cam RUN"),
        (["probe/firing.json"], "no firing rates. saccade energy RUN"),
        (["probe/energy.json"], "no counted operations. saccade energy RUN"),
        (["probe/gates.npz"], "the arrays of 1 gates are missing"),
        (["probe/cam.npz"], "The arrays of Grad-CAM are missing or damaged"),
        (["probe/firing.npz"], "The spikes for a raster are missing"),
        (["result.json", "metrics.csv"], "no usable metrics.csv: no epoch has ended"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_file_that_is_not_there(make_run, files, said):
    run = make_run()
    for file in files:
        (run / file).unlink()
    assert said in missing(page_of(run))


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("file", ["config.json", "result.json", "probe/cam.json", "probe/energy.json"])
@pytest.mark.parametrize("content", ["{", "[1, 2]", "\x00\x01"], ids=["cut off", "a list", "bytes"])
def test_damaged_json(make_run, file, content):
    run = make_run()
    (run / file).write_text(content)
    page = page_of(run)
    assert "Files that could not be used" in page
    assert file in page


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("file", ["probe/cam.npz", "probe/gates.npz", "probe/firing.npz"])
def test_damaged_arrays(make_run, file):
    run = make_run()
    whole = (run / file).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no arrays"):
        (run / file).write_bytes(damaged)
        page = page_of(run)
        assert f"{file} cannot be read" in page
        assert "missing" in missing(page)


@pytest.mark.usefixtures("sketched")
def test_damaged_metrics(make_run):
    run = make_run()
    for content in (b"", b"epoch,test_loss\n", b"loss\n1\n", b"\xff\xfe\x00"):
        (run / "metrics.csv").write_bytes(content)
        assert "no usable metrics.csv" in missing(page_of(run))


@pytest.mark.usefixtures("sketched")
def test_a_last_line_that_was_cut_off(make_run):
    run = make_run()
    whole = (run / "metrics.csv").read_text()
    (run / "metrics.csv").write_text(whole + "3,0.5")
    assert "train_accuracy: epoch 3" in page_of(run)


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("probe/predictions.json", {"confusion": None}, "Confusion"),
        ("probe/energy.json", {"sums": {}}, "Energy"),
        ("probe/firing.json", {"layers": [{}]}, "Firing"),
        ("probe/cam.json", {"labels": "x"}, "Grad-CAM"),
        ("probe/gates.json", {"gates": [{}]}, "Gates"),
        ("result.json", {"versions": None}, "Environment"),
    ],
)
def test_a_field_that_is_not_what_it_should_be(make_run, file, changes, said):
    run = make_run()
    edit(run, file, **changes)
    page = page_of(run)
    assert "This part cannot be made from the files that are there" in page[page.rindex(f"\n{said}") :]


def test_numbers_that_are_not_finite(make_run):
    run = make_run()
    edit(run, "result.json", test_accuracy=math.nan, firing_rate=math.inf)
    edit(run, "probe/predictions.json", accuracy_by_steps=[0.5, math.nan, 0.5])
    rows = (run / "metrics.csv").read_text().replace("2,1.0,0.5", "2,nan,inf")
    (run / "metrics.csv").write_text(rows)
    page = page_of(run)
    assert "not finite in result.json: test_accuracy, firing_rate" in missing(page)
    assert "Some numbers are not finite" in missing(page)
    assert "train_loss: epoch 2" in page
    assert "train_accuracy: epoch 2" in page
    assert "nan" not in page


def test_all_numbers_of_a_column_are_nan(make_run):
    run = make_run()
    (run / "metrics.csv").write_text("epoch,test_loss,test_accuracy\n1,nan,nan\n2,nan,nan\n")
    page = page_of(run)
    assert "test_loss: epoch 1, 2" in page


@pytest.mark.usefixtures("sketched")
def test_one_class(make_run):
    assert "There is one class: nothing can be taken for another" in missing(page_of(make_run(K=1)))


def test_one_step(make_run):
    said = missing(page_of(make_run(T=1)))
    assert "T = 1, so there is one step to read" in said
    assert "T = 1: there is one step, so no map per step" in said


@pytest.mark.usefixtures("sketched")
def test_one_epoch(make_run):
    assert "There is one epoch, so the curve is a point" in missing(page_of(make_run(epochs=1)))


@pytest.mark.usefixtures("sketched")
def test_no_attention(make_run):
    assert "the network has no attention, so there is no gate" in missing(page_of(make_run(attention="none")))


@pytest.mark.usefixtures("sketched")
def test_no_neurons_and_no_deletion_test(make_run):
    run = make_run()
    edit(run, "probe/firing.json", layers=[])
    edit(run, "probe/cam.json", deletion=None)
    said = missing(page_of(run))
    assert "no spiking neurons" in said
    assert "No deletion test was run" in said


@pytest.mark.usefixtures("sketched")
def test_operations_that_were_not_counted_are_named(make_run):
    run = make_run()
    edit(run, "probe/energy.json", not_counted={"erf": 12})
    assert "not counted, because no rule is known: erf (12 results)" in missing(page_of(run))


@pytest.mark.usefixtures("sketched")
def test_without_tensorboard_and_weights_nothing_is_missing(make_run):
    run = make_run()
    (run / "tensorboard").rmdir()
    assert "Missing." not in page_of(run)


@pytest.mark.usefixtures("sketched")
def test_a_run_that_has_just_begun(make_run):
    """config.json alone: every section is there and says what it lacks."""
    run = make_run()
    for file in [*run.glob("probe/*"), run / "result.json", run / "metrics.csv"]:
        file.unlink()
    assert len(re.findall(r"Missing\.", page_of(run))) >= 8


@pytest.mark.usefixtures("sketched")
def test_one_of_two_runs_lacks_everything(make_run):
    whole, bare = make_run("whole"), make_run("bare", attention="none")
    for file in [*bare.glob("probe/*"), bare / "result.json", bare / "metrics.csv"]:
        file.unlink()
    page = page_of(whole, bare)
    assert "none: no gates" in missing(page)
    assert "none has no result.json" in missing(page)


def test_runs_on_other_samples_and_of_other_lengths(make_run):
    first, second = make_run("first", T=3), make_run("second", T=5, K=4, attention="dta")
    edit(second, "probe/cam.json", indices=[7], deletion={**deletion(), "share": 0.2})
    page = page_of(first, second)
    assert "Missing." not in page


def test_names_from_the_run_are_text_and_not_markup(make_run):
    run = make_run()
    edit(run, "config.json", recipe="<script>alert(1)</script>")
    edit(run, "probe/cam.json", class_names=["<b>a & b</b>", "$x$", "\u732b"])
    written = write_report([run], run / "report")
    page = written.html.read_text()
    assert "<script>" not in page
    assert "<b>a" not in page
    assert "&lt;b&gt;a &amp; b" in page


@pytest.mark.usefixtures("sketched")
def test_the_command_reports_an_unfinished_run(make_run, capsys):
    run = make_run()
    (run / "result.json").unlink()
    assert main(["report", str(run)]) == 0
    assert str(run / "report" / "report.html") in capsys.readouterr().out


@pytest.mark.usefixtures("sketched")
def test_folders_that_are_no_runs(tmp_path, make_run):
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        write_report([tmp_path], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        write_report([tmp_path / "nowhere"], tmp_path / "out")
    run = make_run()
    with pytest.raises(ValueError, match="given twice"):
        write_report([run, run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("sketched")
def test_a_folder_of_damage_alone_is_reported(tmp_path):
    write(tmp_path, "config.json", [])
    assert "config.json cannot be used: it must hold a JSON object" in page_of(tmp_path)


@pytest.mark.usefixtures("sketched")
def test_probes_of_other_weights_are_left_out(make_run):
    run = make_run()
    write(run, "card.json", {"sha256": "new"})
    edit(run, "probe/gates.json", weights_sha256="old")
    edit(run, "probe/energy.json", weights_sha256="new")
    page = page_of(run)
    assert "Gates are left out: they are of other weights than the run's. saccade gates RUN looks anew" in missing(page)
    assert "gates in numbers" not in page
    assert "Energy and operations per sample" in page


@pytest.mark.usefixtures("sketched")
def test_the_folder_of_an_ablation_stands_for_its_runs(tmp_path, make_run):
    make_run("grid/runs/none-seed0", attention="none")
    make_run("grid/runs/tcja-seed0")
    (tmp_path / "grid" / "records").mkdir()
    page = page_of(tmp_path / "grid")
    assert "Comparison of 2 runs" in page
    (tmp_path / "empty" / "runs").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="is the folder of an ablation, but holds no run"):
        write_report([tmp_path / "empty"], tmp_path / "out")
