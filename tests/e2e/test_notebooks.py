"""The notebooks: committed without outputs, and run from the first cell to the last in an empty folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
#: what is seen at the end: how many tables and pictures, and some words
SEEN: dict[str, tuple[int, int, list[str]]] = {
    "ablation": (2, 1, ["level", r"\begin{tabular}"]),
    "events": (1, 1, ["100% of the events", "test accuracy"]),
    "first-steps": (6, 2, ["64 right", "of the answers are the same", "Energy per sample, mean of 64"]),
}


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == sorted(SEEN)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_without_outputs(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    for cell in content["cells"]:
        assert not cell["metadata"]
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of the kernel's own libraries
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_the_first_cell_to_the_last(path, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("SACCADE_DATA", raising=False)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.data for output in outputs if "data" in output]
    tables, pictures, words = SEEN[path.stem]
    assert sum("<table>" in data.get("text/html", "") for data in shown) == tables
    assert sum("image/png" in data for data in shown) == pictures
    text = "\n".join(map(said, outputs))
    assert all(word in text for word in words), text
    assert not [output for output in outputs if output.get("name") == "stderr" and "Warning" in output.text], text


def said(output: Any) -> str:
    """All text of an output."""
    return output.get("text", "") + "".join(v for k, v in output.get("data", {}).items() if k.startswith("text/"))
