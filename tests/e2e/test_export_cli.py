"""saccade export on a run of a few batches."""

from __future__ import annotations

import pytest

from saccade.cli import main

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "run"
    small = ["--width", "0.05", "--steps", "2", "--max-batches", "2", "--epochs", "1", "--attention", "none"]
    assert main(["train", "digits-dta", *small, "--run-dir", str(path)]) == 0
    return path


def test_the_graph_answers_like_the_network(run_dir, capsys):
    assert main(["export", str(run_dir), "--to", "onnx", "--samples", "20"]) == 0
    out = capsys.readouterr().out
    assert (run_dir / "model.onnx").stat().st_size > 1000
    assert "20 of 20 predictions are the same" in out
    assert "2 x batch x 2 x 16 x 16" in out
    assert "ONNX Runtime" in out


def test_one_step(run_dir, tmp_path, capsys):
    assert main(["export", str(run_dir), "--step", "--out", str(tmp_path / "step.onnx")]) == 0
    assert "next " in capsys.readouterr().out
    assert (tmp_path / "step.onnx").is_file()


def test_one_file_for_two_runs_is_refused(run_dir, capsys):
    assert main(["export", str(run_dir), str(run_dir), "--out", "x.onnx"]) == 2
    assert "--out names one file, but 2 runs are given" in capsys.readouterr().err


def test_nir_says_what_its_gates_cost(run_dir, tmp_path, capsys):
    pytest.importorskip("nir")
    gated = tmp_path / "run"
    small = ["--width", "0.05", "--steps", "2", "--max-batches", "2", "--epochs", "1"]
    assert main(["train", "digits-dta", *small, "--run-dir", str(gated)]) == 0
    capsys.readouterr()
    assert main(["export", str(gated), "--to", "nir"]) == 2
    assert 'Say gates="frozen"' in capsys.readouterr().err
    for gates, said in (("frozen", "with frozen gates, as written"), ("left out", "without gates, as written")):
        assert main(["export", str(gated), "--to", "nir", "--gates", gates]) == 0
        assert said in capsys.readouterr().out
        assert (gated / "model.nir").is_file()
