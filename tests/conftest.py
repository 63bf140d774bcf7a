"""Without a GPU, Triton's kernels run in its interpreter, which it decides when it is imported: before any test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Tests run side by side, a process a core (pytest-xdist), each with one thread: torch asks when it is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# What the tests name on command lines is not remembered as the user's.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="saccade-tests-")


@pytest.fixture(autouse=True)
def nodes_for_little_work(request, monkeypatch):
    """Tests are small: that composite nodes are right is shown where the modules, being faster, would be taken.

    Not where whole runs are compared with those of other processes, which have no fixture.
    """
    if "e2e" not in request.path.parts:
        from saccade.engines import cpu

        monkeypatch.setattr(cpu, "FEW_STEPS", 0)
