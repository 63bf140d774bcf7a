"""docs/your-experiment.md, word by word, in an empty folder; and what is refused about files of one's own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "your-experiment.md").read_text(encoding="utf-8")
FILE, PYTHON, NET, WITH_NET = re.findall(r"```python\n(.*?)```", PAGE, re.S)
BLOCKS = [block.splitlines() for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S)]
COMMANDS, NET_COMMANDS = [line for block in BLOCKS[:-1] for line in block], BLOCKS[-1]


def python(folder: Path, *words: str, home: str = "home", code: int = 0) -> str:
    """Run Python in a folder, as a user whose state lies in `home`; returns what it printed."""
    state = {"XDG_STATE_HOME": str(folder / home), "OMP_NUM_THREADS": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "SACCADE_NAMED_CODE"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**environment, **state},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    return said


def saccade(folder: Path, *words: str, home: str = "home", code: int = 0) -> str:
    return python(folder, str(Path(sys.executable).with_name("saccade")), *words, home=home, code=code)


def together(folder: Path, *lines: str, home: str = "home") -> str:
    """Several command lines in one process, which starts sooner than many; with their exit codes."""
    words = [shlex.split(line) for line in lines]
    script = f"from saccade.cli import main\nfor words in {words}: print('left with', main(words), flush=True)"
    return python(folder, "-c", script, home=home)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder, with the page's file and its first run."""
    path = tmp_path_factory.mktemp("own")
    (path / "my_experiment.py").write_text(FILE, encoding="utf-8")
    saccade(path, *shlex.split(COMMANDS[0])[1:])
    return path


def test_the_first_run_is_kept_with_its_code(folder):
    config, card = (json.loads((folder / "runs" / "newest" / f).read_text()) for f in ("config.json", "card.json"))
    assert config["code"] == card["code"]["file"] == str((folder / "my_experiment.py").resolve())
    assert config["code_sha256"] == card["code"]["sha256"]
    assert (config["recipe"], card["model"]["name"]) == ("bars-newest", "bar_net")
    assert json.loads((folder / "runs" / "newest" / "result.json").read_text())["test_accuracy"] > 0.4


@pytest.mark.slow
def test_every_command_of_the_page(folder):
    """In one process, which starts sooner than eight."""
    said = together(folder, *(command.removeprefix("saccade ") for command in COMMANDS[1:]))
    assert said.count("left with 0") == len(COMMANDS) - 1 == 8
    python(folder, "-c", PYTHON)
    assert (folder / "runs" / "newest" / "report" / "report.html").is_file()
    assert "newest" in (folder / "runs" / "grid" / "table.md").read_text()
    again, first = (json.loads((folder / "runs" / run / "config.json").read_text()) for run in ("again", "newest"))
    assert again == {**first, "seed": 1}


def package_files() -> dict[str, int]:
    """The package's files, Python's own compiled ones apart, and when they were written."""
    found = find_spec("saccade")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    files = (path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path): path.stat().st_mtime_ns for path in files if not path.suffix.startswith(".nb")}


@pytest.mark.slow
def test_a_network_as_a_list_of_layers(tmp_path):
    """Every command of the page, and a run that is killed and goes on, without writing to the package."""
    before = package_files()
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    said = together(tmp_path, *(command.removeprefix("saccade ") for command in NET_COMMANDS))
    assert said.count("left with 0") == len(NET_COMMANDS) == 7
    assert "own" in (tmp_path / "runs" / "own-or-none" / "table.md").read_text()
    assert (tmp_path / "runs" / "net" / "report" / "report.html").is_file()
    python(tmp_path, "-c", WITH_NET)
    killed = kill_after_an_epoch(tmp_path, "train net.py --run-dir runs/again --max-batches 4")
    assert "epoch 1/3" in killed
    assert "epoch 3/3" not in killed
    saccade(tmp_path, "train", "net.py", "--run-dir", "runs/again", "--max-batches", "4", "--resume")
    weights = [(tmp_path / "runs" / run / "weights.safetensors").read_bytes() for run in ("net", "again")]
    assert weights[0] == weights[1]
    assert package_files() == before


def kill_after_an_epoch(folder: Path, line: str) -> str:
    """SIGKILL for a command that has just told of its first epoch; returns what it said."""
    words = [sys.executable, "-u", str(Path(sys.executable).with_name("saccade")), *shlex.split(line)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    environment.pop("SACCADE_NAMED_CODE", None)
    said = ""
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        for row in run.stdout:
            said += row
            if row.startswith("epoch 1/"):
                run.kill()
    assert run.returncode < 0, said
    return said


@pytest.mark.slow
def test_a_run_from_elsewhere_runs_no_code_by_itself(folder):
    """The same folder, for a user who has not named the file."""
    said = together(folder, "eval runs/newest", "gates runs/newest", home="stranger")
    assert said.count("runs/newest needs code of its own") == 2
    assert said.count("which you have not run before. If you trust it, name it: --code FILE") == 2
    assert said.count("left with 2") == 2
    said = python(folder, "-c", "import saccade; saccade.create_model(weights='runs/newest')", home="stranger", code=1)
    assert "(for its network 'bar_net' and attention 'newest') needs code of its own" in said
    said = together(folder, "eval runs/newest --code my_experiment.py", "eval runs/newest", home="stranger")
    assert said.count("of 128 samples") == 4  # of the test and of the card, twice
    config = json.loads((folder / "runs" / "newest" / "config.json").read_text())
    assert (folder / "stranger" / "saccade" / "named_code").read_text().split() == [config["code_sha256"]]


@pytest.mark.slow
def test_a_file_that_has_changed_has_to_be_named(folder):
    file = folder / "my_experiment.py"
    file.write_text(FILE + "\nCHANGED = True\n", encoding="utf-8")
    try:
        said = together(
            folder,
            "eval runs/newest",
            "eval runs/newest --code my_experiment.py",
            "train my_experiment.py --run-dir runs/newest --resume --epochs 3",
        )
    finally:
        file.write_text(FILE, encoding="utf-8")
    assert "which has changed since. If you trust it, name it: --code FILE" in said
    assert "Note: my_experiment.py is not the code that runs/newest was made with." in said
    assert "is not the code that the run in runs/newest was started with" in said
    assert [int(code) for code in re.findall(r"left with (\d)", said)] == [2, 0, 2]


MISTAKES = {
    "no such file": ("", ["train", "nowhere.py"], "There is no file"),
    "no such recipe": (
        FILE,
        ["train", "mine.py:bars"],
        "Unknown recipe 'bars' of mine.py. Did you mean 'bars-newest'",
    ),
    "no recipe": ("", ["train", "mine.py"], "mine.py has no recipe"),
    "two recipes": (
        FILE + "\n\n@recipe\ndef other() -> Experiment:\n    return bars_newest()\n",
        ["train", "mine.py"],
        "mine.py has several recipes, bars-newest, other. Name one: mine.py:bars-newest",
    ),
    "a module's name": ("", ["train", "json.py"], "There is another module named 'json'"),
    "no module's name": ("", ["train", "my-own.py"], "becomes a module, so its name must be one"),
    "twice": (
        FILE + "\n\nregister_data('bars', '', None)(bars)\n",
        ["train", "mine.py"],
        "There is a data set 'bars' already",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_sentences(tmp_path, name):
    content, words, said = MISTAKES[name]
    if "nowhere" not in words[1]:
        (tmp_path / words[1].partition(":")[0]).write_text(content)
    assert said in saccade(tmp_path, *words, code=2)
    assert not (tmp_path / "runs").exists()


def test_recipes_shows_the_file(folder):
    assert "a network of one convolution" in saccade(folder, "recipes", "my_experiment.py")


@pytest.mark.slow
def test_a_package_with_an_entry_point_is_found(tmp_path):
    """Installed by hand: a module and the metadata that pip would write."""
    (tmp_path / "bars_of_mine.py").write_text(FILE)
    info = tmp_path / "bars_of_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bars-of-mine\nVersion: 1.0\n")
    (info / "RECORD").write_text("bars_of_mine.py,,\n")
    (info / "entry_points.txt").write_text("[saccade.plugins]\nbars = bars_of_mine\n")
    site = f"import sys; sys.path.append({str(tmp_path)!r}); from saccade.cli import main; "
    words = ["train", "bars-newest", "--max-batches", "2", "--epochs", "1", "--run-dir", "run"]
    python(tmp_path, "-c", f"{site} raise SystemExit(main({words}))")
    assert json.loads((tmp_path / "run" / "card.json").read_text())["packages"] == ["bars-of-mine"]
    python(tmp_path, "-c", f"{site} raise SystemExit(main(['eval', 'run']))")
    (tmp_path / "bars_of_mine.py").unlink()
    said = saccade(tmp_path, "eval", "run", code=2)
    assert "needs network 'bar_net' and attention 'newest' of bars-of-mine, which is not installed here" in said
