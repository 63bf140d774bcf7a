"""Without a GPU, Triton's kernels run in its interpreter, which it decides when it is imported: before any test."""

from __future__ import annotations

import os
from pathlib import Path

if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")
