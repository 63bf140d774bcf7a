"""CONTRIBUTING's "To add ...", word by word: its files go where it says in a copy of the package, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDED = re.findall(r"(at the end of|in|here) `src/(saccade/[\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE, re.S)
VERB = re.findall(r"a line in `VERBS` of `(cli/__init__.py)`.*?```python\n( {4}\"\w+\": .*?\n)```", PAGE, re.S)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The package, with what the page adds."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", folder / "src")  # with what numba has compiled
    for where, path, code in ADDED:
        file = folder / "src" / path
        assert file.is_file() == (where == "at the end of"), path
        with file.open("a", encoding="utf-8") as end:
            end.write(f"\n\n{code}" if where == "at the end of" else code)
    ((path, line),) = VERB
    verbs = folder / "src" / "saccade" / path
    text = verbs.read_text(encoding="utf-8")
    assert text.count("VERBS: dict[str, tuple[str, str]] = {\n") == 1
    verbs.write_text(text.replace("tuple[str, str]] = {\n", f"tuple[str, str]] = {{\n{line}"), encoding="utf-8")
    return folder


def python(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_says_files_for_all_that_it_names():
    rooms = {path.split("/")[1] for _, path, _ in ADDED}
    assert rooms == {"nn", "models", "train", "data", "recipes", "cli"}
    assert len(ADDED) == 8


USE = """
from pathlib import Path

import torch
from torch import nn

import saccade
from saccade.cli import main
from saccade.data import list_data
from saccade.nn.graded import Graded
from saccade.train.losses import list_losses

assert Path(saccade.__file__).is_relative_to(Path.cwd()), saccade.__file__
assert "level" in saccade.list_attention() and "twolayers" in saccade.list_models()
assert "hinge" in list_losses() and "blinks" in list_data()

for words in (
    "train blinks-level --max-batches 2 --run-dir run",
    "train blinks-level --max-batches 2 --run-dir again --grad-checkpointing",
    "report run --probe",
    "gatelist",
    "recipes blinks-level",
):
    assert main(words.split()) == 0, words
page = Path("run/report/report.html").read_text()
assert "twolayers" in page and "level" in page

def streamed(network, x):
    stream = saccade.stream(network)
    for x_t in x:
        so_far = stream(x_t)
    return so_far

x = torch.rand(4, 3, 2, 8, 8)
model, again = (saccade.create_model(weights=run) for run in ("run", "again"))
assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
for precision in ("float", "exact", "int8"):
    fast = saccade.deploy(model, precision)
    torch.testing.assert_close(fast(x), model(x), atol=0.1 if precision == "int8" else 1e-5, rtol=0)
    torch.testing.assert_close(streamed(fast, x), fast(x).mean(0))
torch.testing.assert_close(streamed(model, x), model(x).mean(0))
assert {row.engine for row in saccade.explain(model.train(), torch.rand(4, 64, 2, 32, 32))[:5]} == {"cpu"}

layers = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), Graded(), saccade.create_attention("level", 4, 4)
net = saccade.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 36, 2), steps=4, in_channels=2)
net(x).sum().backward()
assert all(p.grad.any() for p in net.parameters())
fast = saccade.deploy(net.eval())
torch.testing.assert_close(fast(x), net(x))
torch.testing.assert_close(streamed(fast, x), net(x).mean(0))
"""


@pytest.mark.slow
def test_what_was_added_trains_deploys_streams_and_is_reported(copy):
    said = python(copy, "-c", USE)
    assert "after every neuron" in said  # the new command's table
    assert "Blinks, two layers with a gate by level" in said


@pytest.mark.slow
def test_it_holds_the_contracts(copy):
    """The contract tests as they are, on what was added: they ask the registries for names."""
    network = "twolayers-tcja or tcja-twolayers or level-twolayers or (twolayers and not attention and not forward)"
    chosen = f"(test_attention and level) or hinge or blinks or {network}"
    words = ["-n", "0", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "-k", chosen]
    said = python(copy, "-m", "pytest", *words, str(ROOT / "tests" / "contract"))
    assert int(re.findall(r"(\d+) passed", said)[0]) > 80, said
    assert "failed" not in said
