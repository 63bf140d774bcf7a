"""What the command line prints in a terminal of 80 columns: pages of help, tables, completion."""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import saccade.cli
from saccade.cli import VERBS, help_text, main
from saccade.cli.ablate import AblateArguments
from saccade.cli.bench import tables
from saccade.cli.completion import SHELLS
from saccade.cli.help import HelpWanted
from saccade.cli.train import TrainArguments

ROOT = Path(__file__).parents[2]
TINY = ["--width", "0.05", "--steps", "3", "--max-batches", "2", "--epochs", "1"]


def pages() -> list[list[str]]:
    """Every verb, those behind `saccade data` included."""
    inner = importlib.import_module("saccade.cli.data").VERBS
    return [[verb] for verb in VERBS] + [["data", verb] for verb in inner]


@pytest.fixture
def shown(capsys, monkeypatch):
    """What a command prints in a terminal of so many columns, without the files that it names."""

    def run(words: list[str], columns: int) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        with contextlib.suppress(HelpWanted):
            assert main(words) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("verb", pages(), ids=" ".join)
def test_every_page_of_help_fits_and_breaks_no_word(shown, verb):
    narrow, wide = shown([*verb, "--help"], 80), shown([*verb, "--help"], 10_000)
    assert max(map(len, narrow.splitlines())) <= 80
    assert set(narrow.split()) == set(wide.split())
    assert narrow.startswith("usage: saccade ")


def test_the_first_page_names_every_verb_once_in_short_lines():
    lines = help_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 40
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == sorted(VERBS)
    assert {verb for verbs in saccade.cli.GROUPS.values() for verb in verbs} == set(VERBS)


@pytest.mark.parametrize("record", [TrainArguments, AblateArguments])
def test_what_most_runs_change_comes_first_and_every_option_has_a_group(shown, record):
    page = shown([record.__name__.removesuffix("Arguments").lower(), "--help"], 80)
    assert page.index("--epochs") < page.index("--tet-lambda")
    assert "further options" not in page
    assert page.count("--attention TEXT") == 1


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("columns") / "run"
    assert main(["train", "digits-dta", *TINY, "--run-dir", str(path)]) == 0
    return path


def fits(text: str, path: Path) -> list[str]:
    """The lines that are too long, paths left out, which are one word."""
    return [line for line in text.splitlines() if len(line) > 80 and str(path) not in line and "/" not in line]


@pytest.mark.parametrize(
    "words",
    [
        ["eval"],
        ["energy", "--samples", "4"],
        ["gates", "--samples", "4"],
        ["cam", "--indices", "0", "1", "--deletion-samples", "0"],
        ["export", "--samples", "2"],
        ["check"],
    ],
    ids=lambda words: words[0],
)
def test_tables_about_a_run_fit(shown, run_dir, words):
    narrow = shown([words[0], str(run_dir), *words[1:]], 80)
    assert fits(narrow, run_dir) == []


@pytest.mark.parametrize("words", [["recipes"], ["recipes", "digits-dta"], ["data", "list"], ["doctor"]], ids=" ".join)
def test_lists_fit_and_break_no_word(shown, words):
    narrow, wide = shown(words, 80), shown(words, 10_000)
    assert fits(narrow, Path.cwd()) == []
    words = {word for word in wide.split() if word.strip("-") and "_" not in word}  # long names may be broken there
    assert words <= set(narrow.split())


def test_tables_of_measurements_fit(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = json.loads((ROOT / "benchmarks" / "results" / "speed.json").read_text())
    assert [line for line in tables(result["default"]).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_verbs_options_and_names(shown, shell):
    script = shown(["--print-completion", shell], 80)
    options = ("--grad-checkpointing", "digits-dta", "bfloat16", "tcja")  # shtab has none below a verb for tcsh
    for word in ("ablate", "push", "prepare", *(options if shell != "tcsh" else ())):
        assert word in script, word


def test_bash_completes(shown, tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    (tmp_path / "saccade.bash").write_text(shown(["--print-completion", "bash"], 80))

    def complete(*words: str) -> list[str]:
        typed = " ".join(f"'{word}'" for word in words)
        ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _shtab_saccade; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = subprocess.run(
            ["bash", "-c", f"source saccade.bash; {ask}"], cwd=tmp_path, capture_output=True, text=True
        )
        return done.stdout.split()

    assert complete("saccade", "ab") == ["ablate"]
    assert complete("saccade", "data", "pre") == ["prepare"]
    assert complete("saccade", "train", "--grad") == ["--gradient-clip", "--grad-checkpointing"]
    assert complete("saccade", "train", "--mix", "cut") == ["cutmix"]
    assert "digits-dta" in complete("saccade", "train", "digits-d")


def test_an_unknown_shell_is_named(capsys):
    assert main(["--print-completion", "fosh"]) == 2
    assert "Unknown shell 'fosh'" in capsys.readouterr().err
