"""The tour and "attention in your network", word by word, in an empty folder."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.slow


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.M | re.S)


def python(folder: Path, *words: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(folder / "home"), "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tour(tmp_path):
    """Commands and Python in two processes: the commands do not wait for what the Python makes."""
    lines = [line.split() for block in blocks("tour.md", "bash") for line in block.splitlines()]
    assert {words[0] for words in lines} == {"saccade"}
    commands = f"from saccade.cli import main\nfor words in {[words[1:] for words in lines]}: assert main(words) == 0"
    python(tmp_path, "-c", commands)
    assert (tmp_path / "runs" / "dta" / "report" / "report.html").is_file()
    said = python(tmp_path, "-c", "\n".join(blocks("tour.md", "python")))
    (right,) = re.findall(r"(\d+) of 64 right", said)
    assert int(right) > 57
    assert "nJ per digit, gates included" in said


NETWORKS = dict(
    zip(("torch", "spikingjelly", "snntorch"), blocks("attention-in-your-network.md", "python"), strict=True)
)


@pytest.mark.parametrize("name", NETWORKS)
def test_attention_in_your_network(name, tmp_path):
    """A file in an empty folder, for one epoch in place of five."""
    if name != "torch":
        pytest.importorskip(name)
    assert NETWORKS[name].count("EPOCHS = 5, 5") == 1
    (tmp_path / "net.py").write_text(NETWORKS[name].replace("EPOCHS = 5, 5", "EPOCHS = 5, 1"), encoding="utf-8")
    ((right, samples),) = re.findall(r"epoch 1: (\d+) of (\d+) test digits right", python(tmp_path, "net.py"))
    assert int(right) > int(samples) / 2


def test_the_programs_stand_alone():
    for code in NETWORKS.values():
        imported = {node.module or "" for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
        assert "saccade.data" in imported
        assert not [name for name in imported if name.startswith("saccade.cli")]
