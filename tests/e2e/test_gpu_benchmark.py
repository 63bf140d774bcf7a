"""benchmarks/gpu.py runs from end to end without a GPU, on tiny sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saccade.ops.lif import triton

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(triton.unavailable() is not None, reason=str(triton.unavailable())),
]


def run(output, *parts):
    command = [sys.executable, SCRIPT, *parts, "--device", "cpu", "--tiny", "--rounds", "2", "--output", output]
    env = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(output.read_text())


def rows(entry):
    """Every row of competitors in a result."""
    if "ms_median" in entry or "error" in entry:
        yield entry
        return
    for value in entry.values():
        if isinstance(value, dict):
            yield from rows(value)


def test_every_part_runs_and_a_second_call_goes_on(tmp_path):
    output = tmp_path / "gpu.json"
    _, first = run(output, "check")
    for dtype in ("float32", "bfloat16", "float16"):
        assert first["check"]["lif"][dtype]["spikes_that_differ_in_float32"] == 0
    assert first["check"]["lif"]["float32"]["gradient_of_x"] < 1e-5
    assert first["check"]["norm_lif"]["float32"]["gradient_of_x"] < 1e-4
    out, second = run(output)
    assert f"check: in {output} already" in out
    assert second["check"] == first["check"]
    for part in ("lif", "operations", "modules", "networks"):
        found = list(rows(second[part]))
        assert found
        assert not [row for row in found if "error" in row], part
    assert set(second["networks"]) == {"msresnet18 + DTA", "vggsnn + TCJA", "dvsgesture_net + TCJA"}
    assert {"commit", "hardware", "versions", "ceilings"} <= set(second)
