"""Nothing is left out: every golden file has a test, and docs/modules.md says what there is and what was compared."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import test_neighbour_networks
import test_networks
import test_transformers
from golden import FOLDER

import saccade

PAGE = (Path(__file__).parents[2] / "docs" / "modules.md").read_text(encoding="utf-8")


def names_in_tests() -> set[str]:
    """Every string that the parity tests write out, but those of this file."""
    files = (path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_golden_file_has_a_test() -> None:
    shared = os.environ.get("SACCADE_SHARED")
    folders = [FOLDER, *([Path(shared) / "golden"] if shared else [])]
    files = {path.stem for folder in folders for path in folder.glob("*.npz")}
    assert len(files) > 50
    assert files - names_in_tests() == set()


def row(first: str) -> set[str]:
    """The names in the page's table that are code, in the row that begins so."""
    (line,) = re.findall(rf"^\| {first} \| (.*) \|$", PAGE, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", line))


def test_the_page_names_every_attention_and_every_network() -> None:
    assert row("attention") == set(saccade.list_attention())
    assert row("networks") == set(saccade.list_models())


def test_the_page_says_which_networks_are_not_compared() -> None:
    compared = {name.split("_")[0] for name in test_networks.MSRESNET} | {"dvsgesture_net", "fsvae", "sew_resnet18"}
    compared |= {model for model, _ in test_networks.TCJA.values()} | {"masnn_gesture_net", "tim_spikformer"}
    compared |= {model for model, _ in test_neighbour_networks.MSRESNET.values()}
    compared |= {model for model, _ in test_transformers.NETWORKS.values()}
    (without_code,) = re.findall(r"every network but (.*?), for which no code was released", PAGE, re.DOTALL)
    (by_parts,) = re.findall(r"\n([^\n]*) are compared in their smaller form or by their blocks", PAGE)
    said = set(re.findall(r"`(\w+)`", without_code + by_parts))
    assert said == set(saccade.list_models()) - compared
