"""The site, built strictly: a link that leads nowhere, or a name that is not found, is an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="needs mkdocs-material and mkdocstrings: pip install saccade[docs]")
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_every_public_name_has_its_place_and_its_docstring(site):
    import saccade

    page = (site / "reference" / "saccade" / "index.html").read_text(encoding="utf-8")
    for name in saccade.__all__:
        assert f'id="saccade.{name}"' in page, name
    gates = (site / "reference" / "saccade.nn.attention" / "index.html").read_text(encoding="utf-8")
    assert "Temporal-channel joint attention (TCJA, eq. 7)" in gates


def test_a_formula_leads_to_its_code(site):
    page = (site / "equations" / "index.html").read_text(encoding="utf-8")
    assert '"../reference/saccade.nn.attention/#saccade.nn.attention.TCJA"' in page


def test_the_home_page_is_the_readme(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    assert "Temporal-channel attention for spiking neural networks" in page
    assert 'src="saccade.png"' in page
    assert (site / "saccade.png").is_file()


def test_the_demo_lies_in_its_page(site):
    (source,) = re.findall(r'<iframe src="([^"]+)"', (site / "demo" / "index.html").read_text(encoding="utf-8"))
    live = site / "demo" / source
    page = ROOT / "src" / "saccade" / "demo" / "page"
    assert live.read_bytes() == (page / "index.html").read_bytes()
    assert {p.relative_to(live.parent) for p in live.parent.rglob("*")} == {
        p.relative_to(page) for p in page.rglob("*")
    }


def test_pages_ask_no_other_host(site):
    """Scripts, styles, pictures and fonts are the site's own; links may lead anywhere."""
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
        loaded += re.findall(r"<link[^>]*rel=\"(?:stylesheet|icon)\"[^>]* href=\"([^\"]+)\"", page.read_text())
        assert not [address for address in loaded if "://" in address or address.startswith("//")], page
