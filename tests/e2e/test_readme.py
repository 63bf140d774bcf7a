"""README and the page of the command line, done: Python runs, commands work, tables are the generated ones."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_LINE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUICK = ["--max-batches", "2", "--epochs", "1", "--width", "0.05"]


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(text: str = TEXT) -> list[str]:
    """Every line of every shell block, comments left out, `a && b` as two."""
    lines = [line.partition("#")[0].strip() for block in blocks("bash", text) for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, tmp_path):
    done = run([sys.executable, "-W", "error", "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "torch.Size([10, 8, 128, 16, 16])" in done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    done = run([sys.executable, "-m", "saccade", "train", *QUICK, "--run-dir", "run"], folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The ablation of the page, short, and what it said."""
    folder = tmp_path_factory.mktemp("ablation")
    (command,) = [c for c in commands(COMMAND_LINE) if c.startswith("saccade ablate ")]
    words = [*shlex.split(command)[1:], *QUICK, "--seeds", "1", "--out", "grid"]
    return folder / "grid", run([sys.executable, "-m", "saccade", *words], folder)


#: those that need an account have tests with a stand-in for the hub
ELSEWHERE = ("saccade push ",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [c for c in commands() + commands(COMMAND_LINE) if c.startswith("saccade ") and not c.startswith(ELSEWHERE)],
)
def test_saccade_commands(command, trained, tmp_path, request):
    """As written, but for short trainings; the run of one fixture for RUN_DIR, the ablation of another for GRID_DIR."""
    words = shlex.split(command)[1:]
    if words[0] == "ablate":
        done = request.getfixturevalue("grid")[1]
    else:
        folders = {"RUN_DIR": trained / "run"}
        if "GRID_DIR" in words:
            folders["GRID_DIR"] = request.getfixturevalue("grid")[0]
        words = [str(folders.get(word, word)) for word in words]
        words += [*QUICK, "--run-dir", str(tmp_path / "run")] if words[0] == "train" else []
        done = run([sys.executable, "-m", "saccade", *words], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_set_up_commands_name_extras_that_exist():
    installs = [c for c in commands() if c.startswith("pip install")]
    assert installs == ['pip install -e ".[all]"', 'pip install -e ".[dev]"']
    assert re.search(r"^all = ", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert re.search(r"^dev = ", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert [c for c in commands() if not c.startswith(("pip", "saccade"))] == ["pytest"]


GENERATED = [
    *("tables.py", "speed_table.py", "scale_table.py", "paired_table.py", "reliability_table.py"),
    *("own_network.py --table", "latency.py --table", "from_spikingjelly.py --table"),
    *("export.py --table", "demo.py --table"),
]


@pytest.mark.parametrize("script", GENERATED)
def test_results_are_the_generated_ones(script):
    name, *options = script.split()
    done = run([sys.executable, f"benchmarks/{name}", *options, "--check"], ROOT)
    assert done.returncode == 0, done.stderr


def test_pictures_exist_and_the_tree_is_the_real_one():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", TEXT):
        assert (ROOT / picture).is_file(), picture
    listed = re.search(r"src/saccade/\n(.*?)\nbenchmarks/", CONTRIBUTING, flags=re.DOTALL)
    assert listed
    names = {line.split()[0].rstrip("/") for line in listed[1].splitlines() if line.strip()}
    package = ROOT / "src" / "saccade"
    rooms = {p.name for p in package.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms <= names
    assert all((package / name).exists() or any(package.glob(f"*/{name}")) for name in names)
