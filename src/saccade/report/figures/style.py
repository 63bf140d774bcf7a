"""How figures look, and how they become SVG for a page in two themes or PNG for a file.

Lines and letters are drawn in a few fixed colours, which the SVG names as CSS variables: the page says what they are in
light and in dark.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from saccade.atomic import replacing
from saccade.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

P = ParamSpec("P")

#: inches of a figure that is as wide as the page; letters of 10 points keep 8 pixels on a phone of 390
WIDTH = 5.9
#: pixels of the page per point of the figure: WIDTH is as wide as the page of `templates/style.css`
PIXELS_PER_POINT = 1.82
#: the same for pictures of many columns on a small screen, where they scroll
SMALLEST = 1.1
INK, FAINT, LINE = "#1b1c1f", "#5d6168", "#c9ccd1"
#: told apart with every common kind of colour blindness (after Okabe and Ito 2008), darkened to stand out on white
SERIES = ("#0a66ab", "#c4470b", "#07795a", "#8d4bb0", "#866300", "#b0285f", "#3d6e8f", "#5f5f5f")
VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    LINE: "--line",
    **{color: f"--series-{i}" for i, color in enumerate(SERIES)},
}
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.interpolation": "none",
    "svg.fonttype": "none",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function that draws in the style of this page, and leaves matplotlib's settings alone."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with require("matplotlib", "report").rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any) -> tuple[Figure, Any]:
    """A figure of so many inches and its axes [rows][columns], outside matplotlib's global state."""
    figure = require("matplotlib.figure", "report").Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def bare(axis: Axes) -> None:
    """No frame and no ticks: for pictures."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def percent(axis: Axis) -> None:
    """Shares from 0 to 1 are written as per cent."""
    axis.set_major_formatter(lambda value, position: f"{100 * value:.4g} %")


def to_svg(figure: Figure, name: str, alt: str, wide: bool = False) -> str:
    """A figure as an SVG element to put into a page: colours as CSS variables, ids that no other figure has.

    Args:
        name: letters, digits and hyphens, different for every figure of a page.
        alt: what is to be seen, for those who do not see it.
        wide: keeps its size on a small screen, instead of shrinking to the screen's width.
    """
    matplotlib = require("matplotlib", "report")
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}), _quiet():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub("|".join(VARIABLES), lambda found: f"var({VARIABLES[found[0]]})", svg)
    # the page's own letters, not a list of fonts of the machine that drew
    svg = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", svg)
    most, least = (f"{figure.get_figwidth() * 72 * scale:.0f}px" for scale in (PIXELS_PER_POINT, SMALLEST))
    size = f"width: 100%; max-width: {most}" + (f"; min-width: {least}" if wide else "")
    opening = f'<svg role="img" aria-label="{_escape(alt)}" style="{size}"'
    return re.sub(r'<svg\b(?: height="[^"]*"| width="[^"]*")*', opening, svg, count=1)


def to_png(figure: Figure, dots_per_inch: int = 130) -> bytes:
    """A figure as PNG on white."""
    matplotlib = require("matplotlib", "report")
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE), _quiet():
        figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def write_png(path: Path, figure: Figure) -> Path:
    """Write a figure as PNG, whole or not at all; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(to_png(figure))
    return path


class _quiet(warnings.catch_warnings):  # noqa: N801
    """Letters that the font lacks (class names may be in any script) are drawn as boxes; no warning for each."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", message="Glyph .* missing")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
