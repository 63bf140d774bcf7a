"""Machines as they are: the same numbers, and no waiting for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="compiled loops need numba")

DRIVER = Path(__file__).with_name("machine_driver.py")
PATIENCE_S = 300
pytestmark = pytest.mark.slow


def run(folder: Path, work: str, how: str = "", cores: int | None = None, **environment: str) -> dict[str, np.ndarray]:
    """The numbers of a process of its own."""
    result = folder / f"{work}.npz"
    result.unlink(missing_ok=True)

    def hold() -> None:
        if cores is not None:
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(DRIVER), work, str(result), how],
        env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=hold,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(result) as found:
        return dict(found)


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """On this machine as it is."""
    folder = tmp_path_factory.mktemp("expected")
    return {work: run(folder, work) for work in ("neuron", "network")}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for key, numbers in expected.items():
        np.testing.assert_allclose(found[key], numbers, rtol=1e-9, atol=1e-9 * np.abs(numbers).max(), err_msg=key)


@pytest.mark.parametrize("how", ["threads", "fork", "spawn", "/proc", "numba"])
def test_callers_of_every_kind(tmp_path, expected, how):
    """Several Python threads, a fork, new processes; without /proc, where the loops find torch's OpenMP; no numba."""
    if how == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    assert_same(run(tmp_path, "network", how), expected["network"])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_one_core_for_two_threads_and_an_allocator_that_writes_rubbish(tmp_path, expected):
    """glibc fills what it gives with one byte, and what it takes back with another."""
    assert_same(run(tmp_path, "network", cores=1, MALLOC_PERTURB_="85"), expected["network"])


def test_compiled_code_that_cannot_be_kept(tmp_path, expected):
    """numba's folder is a file."""
    (tmp_path / "file").write_text("in the way")
    assert_same(run(tmp_path, "neuron", NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache")), expected["neuron"])


def test_compiled_code_of_another_processor(tmp_path, expected):
    """As in a home folder that many machines share."""
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    other = run(tmp_path, "neuron", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", **kept)
    assert_same(other, expected["neuron"])
    assert_same(run(tmp_path, "neuron", **kept), expected["neuron"])
