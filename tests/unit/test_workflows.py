"""What runs elsewhere: the workflows' commands and the files of the container exist, and say what the README says."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from saccade.cli import VERBS

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: what the extras install, by the name of its command
COMMANDS = {"mkdocs": "docs", "mypy": "dev", "pytest": "dev", "ruff": "dev"}


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert True in content, "`on`, which YAML 1.1 reads as true"
    return content["jobs"]


def runs(job: dict[str, Any]) -> list[str]:
    return [line for step in job["steps"] for line in step.get("run", "").splitlines()]


def extras(text: str) -> set[str]:
    """The extras that an installation names: `.[a,b]`."""
    return {name for found in re.findall(r"\[([\w,]+)\]\"", text) for name in found.split(",")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_commands_of_a_workflow_exist(path):
    for name, job in jobs(path).items():
        installed = {extra for line in runs(job) for extra in extras(line)}
        assert all(re.search(rf"^{extra} = \[", PROJECT, re.M) for extra in installed), installed
        for line in runs(job):
            command, *words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "", line))
            if command == "saccade":
                assert words[0] in VERBS, line
            elif command == "python":
                assert words[0] == "-m", line
                assert find_spec(words[1]), line
            elif command != "pip":
                assert COMMANDS[command] in installed, (name, line)
        assert all("@v" in step["uses"] for step in job["steps"] if "uses" in step)
        assert set(job.get("needs", "").split()) <= jobs(path).keys()


def test_the_tests_run_on_three_systems_and_the_oldest_python():
    (oldest,) = re.findall(r'requires-python = ">=([\d.]+)"', PROJECT)
    job = jobs(ROOT / ".github" / "workflows" / "tests.yml")["tests"]
    matrix = job["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert oldest in matrix["python"]
    assert runs(job) == ['pip install -e ".[dev]"', "pytest ${{ matrix.options }}"]
    everywhere, linux = matrix["include"]
    assert (everywhere["options"], linux) == ('-m "not slow"', {"os": "ubuntu-latest", "options": ""})


def test_what_the_container_copies_is_there_and_not_ignored():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignore[0] == "*"
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignore
        assert not any(fnmatch(name, pattern) for pattern in ignore[1:])
    (install,) = [line for line in lines if line.startswith("RUN ")]
    assert extras(install) == {"all"}
    assert 'ENTRYPOINT ["saccade"]' in lines
    assert re.search(r'^saccade = "saccade.cli:main"$', PROJECT, re.M)
