"""The page of a real run in a real browser: whole, quiet, self-contained, accessible, readable on a phone."""

from __future__ import annotations

import pytest

from report_headings import HEADINGS
from saccade.cli import main

pytestmark = pytest.mark.slow

TINY = ["--width", "0.05", "--steps", "3", "--max-batches", "3", "--epochs", "2"]
#: elements that reach beyond the window, those left out that scroll by themselves
TOO_WIDE = """
    return [...document.querySelectorAll('body *')]
        .filter(e => !e.closest('.scroll') && !e.closest('.unseen') && e.getBoundingClientRect().right > innerWidth + 1)
        .map(e => e.outerHTML.slice(0, 120));
"""
#: the smallest letters of all figures, in pixels of the screen
LETTERS = """
    return Math.min(...[...document.querySelectorAll('svg text')].map(text => {
        const figure = text.ownerSVGElement;
        return parseFloat(getComputedStyle(text).fontSize) * figure.getBoundingClientRect().width
            / figure.viewBox.baseVal.width;
    }));
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory, chromium):
    """The page of one run and of a comparison of two, by name."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [folder / attention for attention in ("dta", "tcja")]
    for run in runs:
        assert main(["train", "digits-dta", "--attention", run.name, *TINY, "--run-dir", str(run)]) == 0
        assert main(["report", str(run), "--probe"]) == 0
    assert main(["report", *map(str, runs)]) == 0
    return {"run": runs[0] / "report" / "report.html", "comparison": folder / "report" / "report.html"}


@pytest.fixture(params=["run", "comparison"])
def page(request, pages):
    return pages[request.param]


def test_shows_every_section_and_says_nothing_to_the_console_or_the_network(page, show, requested):
    browser = show(page)
    shown = browser.execute_script("return [...document.querySelectorAll('h2')].map(h => h.innerText)")
    assert tuple(shown) == HEADINGS
    links = browser.execute_script("return [...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
    assert [browser.execute_script("return !!document.querySelector(arguments[0])", link) for link in links] == [
        True
    ] * len(HEADINGS)
    assert browser.execute_script("return document.querySelectorAll('svg').length") >= len(HEADINGS)
    assert browser.get_log("browser") == []
    assert {address.partition(":")[0] for address in requested()} <= {"file", "data"}
    assert page.stat().st_size < 3_000_000


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, show, axe, theme):
    browser = show(page, theme=theme)
    browser.execute_script(axe)
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    serious = [(v["id"], v["nodes"][0]["html"]) for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == []
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_a_phone(page, show, theme):
    browser = show(page, width=390, theme=theme)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    assert browser.execute_script(TOO_WIDE) == []
    assert browser.execute_script(LETTERS) >= 8


def test_the_themes_differ(pages, show):
    colours = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    assert show(pages["run"], theme="light").execute_script(colours) == ["rgb(255, 255, 255)", "rgb(27, 28, 31)"]
    assert show(pages["run"], theme="dark").execute_script(colours) == ["rgb(21, 23, 26)", "rgb(231, 232, 234)"]
