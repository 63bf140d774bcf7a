"""What the processes do that the tests kill: make a frame cache of N-MNIST in many small files."""

from __future__ import annotations

from pathlib import Path

from saccade.data.events import FrameSpec, event_set, make_plan, prepare
from saccade.data.events import cache as cache_module

SPEC = FrameSpec(5)
# three clips to a file, so that there are many points to be killed at
COUNTS_PER_FILE = 3 * 5 * 2 * 34 * 34


def run(root: Path) -> None:
    """Prepare to the end."""
    cache_module.COUNTS_PER_FILE = COUNTS_PER_FILE
    prepare(make_plan(event_set("nmnist"), root, SPEC))
