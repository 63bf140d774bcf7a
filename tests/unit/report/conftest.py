"""Folders of runs, and pages without pictures."""

import pytest
from report_runs import write_run


@pytest.fixture
def make_run(tmp_path):
    """Writes a whole run of T steps and K classes; returns its folder."""

    def make(name: str = "run", **options):
        return write_run(tmp_path / name, **options)

    return make


@pytest.fixture
def sketched(monkeypatch):
    """Figures are made but not drawn, for tests of what a page says: drawing takes most of the time."""
    monkeypatch.setattr("saccade.report.page.to_svg", lambda figure, name, alt, wide: f"<svg>{name}</svg>")
    monkeypatch.setattr("saccade.report.figures.style.to_png", lambda figure: b"")
