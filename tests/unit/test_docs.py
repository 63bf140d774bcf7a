"""What README and docs point to is there: files, headings, names of the package, verbs and their options."""

from __future__ import annotations

import dataclasses
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from saccade import list_attention, list_models
from saccade.cli import VERBS
from saccade.recipes import Experiment

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def heading(text: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@every_page
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        if file.startswith("http"):
            continue
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in map(heading, re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)), link


@every_page
def test_the_tests_that_are_named_exist(page):
    """`tests/some/test_file.py`, with or without `::test_name`."""
    if page.name in ("CHANGELOG.md", "LOG.md"):
        pytest.skip("history")
    for file, name in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", page.read_text(encoding="utf-8")):
        assert (ROOT / file).is_file(), file
        if name:
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), (file, name)


@every_page
def test_names_of_the_package_exist(page):
    """`saccade.some.name`, in text and in code. The history in CHANGELOG and LOG names what is gone, too."""
    if page.name in ("CHANGELOG.md", "LOG.md"):
        pytest.skip("history")
    for name in set(re.findall(r"(?<![\w/.\"-])saccade\.[a-zA-Z_][\w.]*\w", page.read_text(encoding="utf-8"))):
        if name != "saccade.plugins":  # also a group of entry points
            resolve(name)


def resolve(name: str) -> object:
    """A dotted name, modules imported on the way."""
    first, *rest = name.split(".")
    found: object = importlib.import_module(first)
    for i, part in enumerate(rest, start=2):
        if not hasattr(found, part):
            importlib.import_module(".".join(name.split(".")[:i]))
        found = getattr(found, part)
    return found


@cache
def options(verb: str) -> set[str]:
    """The options of a verb: the fields of every record of arguments in its file, and of an experiment."""
    module = importlib.import_module(VERBS[verb][0].partition(":")[0])
    records = [v for v in vars(module).values() if isinstance(v, type) and dataclasses.is_dataclass(v)]
    names = {field.name for record in (*records, Experiment) for field in dataclasses.fields(record)}
    return {f"--{name.replace('_', '-')}" for name in names}


@every_page
def test_commands_have_verbs_and_options_that_exist(page):
    for line in re.findall(
        r"^(?:    )?saccade ([a-z].*)$|`saccade ([a-z][^`]*)`", page.read_text(encoding="utf-8"), re.M
    ):
        words = "".join(line).partition("#")[0].split()
        verb = words[0]
        if "|" in verb or (page.name == "CONTRIBUTING.md" and verb == "gatelist"):  # made there
            continue
        assert verb in VERBS, line
        for word in words[1:]:
            option = word.partition("=")[0]
            if option.startswith("--") and option != "--help":
                assert option in options(verb), (verb, option)


def test_a_page_names_every_module_and_network():
    page = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (attention|networks) \| (.*) \|$", page, re.MULTILINE))
    named = {row: set(re.findall(r"`(\w+)`", text)) for row, text in rows.items()}
    assert named == {"attention": set(list_attention()), "networks": set(list_models())}
