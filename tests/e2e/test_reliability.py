"""The campaigns of benchmarks/reliability.py in short: a few cases of each, and going on where one stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def conduct(results, *words):
    return subprocess.run(
        [sys.executable, "benchmarks/reliability.py", *words, "--results", str(results)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="disturbs forked processes")
def test_a_few_cases_of_every_campaign_hold(tmp_path):
    results = tmp_path / "reliability.json"
    done = conduct(results, "kills", "told", "full", "faults", "bits", "fuzz", "soak", "training", "--cases", "2")
    assert done.returncode == 0, done.stdout + done.stderr + results.read_text()
    campaigns = json.loads(results.read_text())["campaigns"]
    assert set(campaigns) == {"kills", "told", "full", "faults", "bits", "fuzz", "soak", "training"}
    for campaign in campaigns.values():
        assert campaign["cases"] == sum(kind["held"] for kind in campaign["kinds"].values()) == 2
        assert campaign["sessions"][0]["commit"]
        assert not campaign["fell"]
    assert conduct(results, "bits", "--cases", "5").returncode == 0
    bits = json.loads(results.read_text())["campaigns"]["bits"]
    assert bits["cases"] == 5
    assert [session["first_case"] for session in bits["sessions"]] == [0, 2]
