"""Where results say they come from."""

from __future__ import annotations

import subprocess

import torch

import saccade
from saccade.train.running import provenance


def test_versions_name_what_computed():
    versions = provenance.versions()
    assert versions["saccade"] == saccade.__version__
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_the_device_is_in_words():
    assert "cores" in provenance.hardware(torch.device("cpu"))


def checkout(folder):
    """A git repository with the package in it."""
    package = folder / "src" / "saccade"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    return package


def test_the_commit_is_that_of_our_checkout_and_says_when_files_differ(tmp_path, monkeypatch):
    package = checkout(tmp_path)
    monkeypatch.setattr(saccade, "__file__", str(package / "__init__.py"))
    clean = provenance.commit()
    assert clean is not None
    assert len(clean) == 40
    (package / "__init__.py").write_text("changed = True")
    assert provenance.commit() == clean + "+changes"


def test_another_projects_checkout_is_not_ours(tmp_path, monkeypatch):
    checkout(tmp_path)
    installed = tmp_path / "venv" / "saccade"
    installed.mkdir(parents=True)
    monkeypatch.setattr(saccade, "__file__", str(installed / "__init__.py"))
    assert provenance.commit() is None
