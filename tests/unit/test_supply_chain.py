"""Every dependency has its licence on the page, and a version in the lock that the package takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def requirements() -> list[str]:
    """What pyproject asks for, extras of its own left out."""
    lists = re.findall(
        r"^(?:dependencies|train|report|events|hub|export|grid|docs|dev) = \[(.*?)\]$", PROJECT, re.S | re.M
    )
    found = [text for part in lists for text in re.findall(r'"([^"]+)"', part)]
    assert len(found) > 25
    return [text for text in found if not text.startswith("saccade")]


def name_of(requirement: str) -> str:
    return re.match(r"[\w-]+", requirement)[0]


def test_every_licence_is_named():
    page = (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8")
    named = {word for row in re.findall(r"^\| ([\w, -]+) \|", page, re.M) for word in row.split(", ")}
    assert {name_of(text) for text in requirements()} <= named


def test_the_lock_has_a_version_of_everything_that_fits():
    specifiers = pytest.importorskip("packaging.requirements")
    lines = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    for text in requirements():
        needed = specifiers.Requirement(text)
        assert needed.name in locked, text
        assert needed.specifier.contains(locked[needed.name].partition("+")[0]), (text, locked[needed.name])
    assert not any("://" in line for line in lines)
