"""The import ladder: which room of the house may know which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import saccade

PACKAGE = Path(saccade.__file__).parent

# the sentences for users; tables; reading and writing files; how the CPU loops are compiled
EVERYONE = {"arrays", "errors", "atomic", "compiled", "files", "plugins", "runs", "tables"}
LADDER = {
    "data": set(),
    "ops": set(),
    "report": set(),
    "nn": {"ops"},
    "chain": {"nn"},
    "engines": {"chain", "nn", "ops"},
    "models": {"chain", "engines", "nn", "ops"},
    "bench": {"chain", "engines", "models", "nn", "ops", "train"},
    "train": {"chain", "engines", "models", "nn", "ops", "data"},
    "recipes": {"train"},
    "ablate": {"train", "models", "nn", "ops", "data"},
    "probe": {"chain", "engines", "models", "nn", "ops"},
    "export": {"chain", "engines", "models", "nn", "ops"},
}
EVERYTHING = {"cli", "demo"}  # may know all rooms


def imports(path: Path) -> set[str]:
    """Every module that a file imports, type-checking blocks left out."""
    tree = ast.parse(path.read_text())
    skipped = {id(n) for b in ast.walk(tree) if is_type_checking(b) for n in ast.walk(b)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def rooms(path: Path) -> set[str]:
    names = (name.split(".") for name in imports(path) if name.startswith("saccade."))
    return {parts[1] for parts in names if (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists()}


@pytest.mark.parametrize("room", [r for r in LADDER if (PACKAGE / r).is_dir()])
def test_a_room_knows_only_the_rooms_below_it(room):
    for path in (PACKAGE / room).rglob("*.py"):
        strangers = rooms(path) - LADDER[room] - EVERYONE - {room}
        assert not strangers, f"{path.relative_to(PACKAGE)} imports {strangers}"


BARE = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
import torch, saccade, saccade.nn, saccade.models, saccade.ops
for name in saccade.list_attention():
    model = saccade.create_model("msresnet18", steps=2, width=0.1, attention=name)
    model(torch.zeros(1, 3, 8, 8)).sum().backward()
    saccade.deploy(model.eval(), "exact")(torch.zeros(1, 3, 8, 8))
print("ok")
"""
EXTRAS = {
    "aedat", "huggingface_hub", "lightning", "matplotlib", "nir", "numba", "onnx", "onnxruntime", "onnxscript",
    "psutil", "rich", "safetensors", "scipy", "shtab", "sklearn", "spikingjelly", "tensorboard", "torchmetrics",
    "torchvision", "triton", "tyro",
}  # fmt: skip


def test_every_room_is_listed():
    found = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert found <= LADDER.keys() | EVERYTHING


def test_torch_and_numpy_suffice_for_nn_models_and_ops():
    run = subprocess.run([sys.executable, "-c", BARE.format(names=EXTRAS)], capture_output=True, text=True)
    assert run.stdout.strip() == "ok", run.stderr


def test_files_stay_short():
    lengths = {p.relative_to(PACKAGE): len(p.read_text().splitlines()) for p in PACKAGE.rglob("*.py")}
    assert lengths
    assert {p: n for p, n in lengths.items() if n > 400} == {}
