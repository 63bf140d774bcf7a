"""A report as one HTML page that needs nothing else: no network, no script, no font, no picture beside it."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

import saccade
from saccade.errors import require
from saccade.report.blocks import Block, Picture, Report
from saccade.report.figures.style import to_svg

_TEMPLATES = "templates"


def render_html(report: Report) -> str:
    """The page. All text from the runs is escaped."""
    return _environment().get_template("page.html.j2").render(report=report, version=saccade.__version__)


@cache
def _environment() -> Any:
    jinja2 = require("jinja2", "report")
    loader = jinja2.FunctionLoader(_file)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"kind": kind, "svg": _svg, "code": _code}
    environment.globals["style"] = _markup(_file("style.css"))
    return environment


def kind(block: Block) -> str:
    """What a template asks a block: "text", "items", "missing", "table", "picture", "code" or "fold"."""
    return type(block).__name__.lower()


def _svg(picture: Picture) -> Any:
    return _markup(to_svg(picture.figure, picture.name, picture.alt, picture.wide))


def _code(text: str) -> Any:
    """Escaped, with `commands` set as code."""
    escape = require("markupsafe", "report").escape
    return _markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _markup(safe: str) -> Any:
    return require("markupsafe", "report").Markup(safe)


def _file(name: str) -> str:
    return (resources.files("saccade.report") / _TEMPLATES / name).read_text(encoding="utf-8")
