"""The colours of the page and its figures stand out from what they are drawn on, in both themes (WCAG 2.2)."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from saccade.report.figures.style import VARIABLES

STYLE = (resources.files("saccade.report") / "templates" / "style.css").read_text()
#: 1.4.3: letters; 1.4.11: parts of figures
LETTERS, PARTS = 4.5, 3.0


def theme(name: str) -> dict[str, str]:
    """The variables of a theme."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if name == "light" else dark))


def luminance(colour: str) -> float:
    """Relative luminance of sRGB, 0 to 1."""
    values = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_contrast(name):
    colours = theme(name)
    for ink, ground in (("ink", "page"), ("ink", "card"), ("faint", "page"), ("link", "card"), ("warn", "warn-card")):
        assert contrast(colours[ink], colours[ground]) >= LETTERS, (ink, ground)
    series = [colour for variable, colour in colours.items() if variable.startswith("series")]
    assert len(series) == len(set(series)) == 8
    assert min(contrast(colour, colours["page"]) for colour in series) >= PARTS


def test_figures_use_the_colours_of_the_light_theme():
    assert {variable.removeprefix("--"): colour for colour, variable in VARIABLES.items()}.items() <= theme(
        "light"
    ).items()


def test_contrast_by_hand():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
