"""Without a numba that works, every compiled loop has something to stand in for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from saccade.compiled import compiled

BROKEN = """
import importlib.abc, sys

class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "numba":
            raise {error}

sys.meta_path.insert(0, Broken())
import numpy as np, torch, saccade
from saccade import compiled
from saccade.data.events import Events, FrameSpec, to_frames
from saccade.data.events.kernels import kernels

column = np.zeros(10, np.uint16)
clip = to_frames(Events(np.arange(10), column, column, column > 0, (3, 3)), FrameSpec(2))
assert clip.frames.sum() == 10
assert kernels().__name__.endswith("reference")
assert saccade.LIF()(torch.ones(2, 1, 3)).shape == (2, 1, 3)
print(compiled.unavailable())
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ModuleNotFoundError('no', name='numba')", "numba is not installed (pip install 'saccade[train]')"),
        ("ImportError('Numba needs NumPy 1.x')", "numba cannot be imported (Numba needs NumPy 1.x)"),
        ("SystemError('initialization failed')", "numba cannot be imported (initialization failed)"),
    ],
)
def test_a_broken_numba_costs_speed_and_nothing_else(error, said):
    run = subprocess.run([sys.executable, "-c", BROKEN.format(error=error)], capture_output=True, text=True)
    assert run.stdout.strip() == said, run.stderr


@pytest.mark.parametrize("what", ["save_overload", "load_overload"])
def test_a_cache_that_fails_costs_a_compilation_alone(monkeypatch, what):
    """A full disk, where numba keeps its code, and a damaged file there."""
    caching = pytest.importorskip("numba.core.caching")

    def fail(*arguments):
        raise OSError(28, "No space left on device") if what == "save_overload" else EOFError("Ran out of input")

    monkeypatch.setattr(caching.FunctionCache, what, fail)
    assert compiled(twice)(21.0) == 42


def twice(x):
    return 2 * x
