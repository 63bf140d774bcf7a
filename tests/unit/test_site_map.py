"""The site before it is built: every page has its place, and every public name is in the reference."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import saccade

pytest.importorskip("mkdocs", reason="needs mkdocs-material and mkdocstrings: pip install saccade[docs]")
yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
PACKAGE = Path(saccade.__file__).parent
TEXT = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_nav() -> list[str]:
    return re.findall(r"^ +- [^:]+: ([\w./-]+\.md)$", TEXT, re.M)


def test_every_page_has_one_place(hooks):
    pages = {uri for uri in hooks.sources(ROOT / "docs") if uri.endswith(".md")} | hooks.reference().keys()
    assert sorted(in_nav()) == sorted(pages)


def test_every_public_name_is_in_the_reference(hooks):
    """Those of every room that names some; a room that is new has to be listed."""
    pages = hooks.reference()
    rooms = {"saccade"} | {
        f"saccade.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py") if "__all__" in path.read_text()
    }
    assert rooms <= set(hooks.ROOMS)
    for room in hooks.ROOMS:
        module = importlib.import_module(room)
        listed = set(re.findall(r"^::: (\S+)$", pages[f"reference/{room}.md"], re.M))
        assert listed == {room, *(f"{room}.{name}" for name in module.__all__)}
    for names in hooks.FILES_OF.values():
        for name in names:
            home, _, last = name.rpartition(".")
            assert hasattr(importlib.import_module(home), last), name


def test_the_site_asks_nobody_else():
    assert "font: false" in TEXT
    assert "://" not in TEXT


def test_notebooks_become_pages_with_their_code(hooks):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = hooks.notebook(path)
        assert page.startswith("# ")
        assert "```python\n" in page
