"""Curves for TensorBoard: what keeps them from being written is said once, and never ends a run."""

from __future__ import annotations

import shutil

import pytest

from saccade.train.running.logger import Curves


def test_curves_are_written(tmp_path, capsys):
    curves = Curves(tmp_path / "tensorboard")
    curves.log_metrics({"loss": 1.0}, step=1)
    curves.finalize("success")
    assert any(path.name.startswith("events") for path in (tmp_path / "tensorboard").iterdir())
    assert capsys.readouterr().err == ""


def test_a_folder_that_somebody_deletes_is_said_once(tmp_path, capsys):
    curves = Curves(tmp_path / "tensorboard")
    curves.log_metrics({"loss": 1.0}, step=1)
    curves.experiment.flush()  # else its writer's thread may meet the missing folder first, in another test
    shutil.rmtree(tmp_path / "tensorboard")
    for step in range(3):
        curves.log_metrics({"loss": 1.0}, step=step)
    curves.save()
    curves.finalize("success")
    said = capsys.readouterr().err
    assert said.count("Note: no more curves for TensorBoard (") == 1
    assert "tensorboard is gone). The run goes on." in said


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("odd"), RuntimeError()])
def test_whatever_its_writer_meets(tmp_path, capsys, monkeypatch, error):
    curves = Curves(tmp_path / "tensorboard")
    monkeypatch.setattr(curves.experiment, "add_scalar", lambda *a, **o: (_ for _ in ()).throw(error))
    curves.log_metrics({"loss": 1.0}, step=1)
    curves.log_metrics({"loss": 1.0}, step=2)
    assert capsys.readouterr().err.count("Note: no more curves") == 1
    monkeypatch.undo()
    curves.experiment.close()


def test_a_file_where_the_folder_should_be(tmp_path, capsys):
    (tmp_path / "tensorboard").write_text("in the way")
    Curves(tmp_path / "tensorboard").log_metrics({"loss": 1.0}, step=1)
    assert "Note: no more curves" in capsys.readouterr().err
