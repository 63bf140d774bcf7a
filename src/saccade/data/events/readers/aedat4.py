"""AEDAT 4, as iniVation's DV software records it, through the package `aedat`.

The package stops the whole process on some damaged files (a panic in Rust that cannot be caught), so it runs in a
helper process, which is started once and again when it dies.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from saccade.data.events.readers import aedat4_helper
from saccade.data.events.recording import MOST_PIXELS, Events, RecordingError, Size, check_events
from saccade.errors import require
from saccade.files import MOST_BYTES

# A file is given up after this long. Sound ones decode at more than 100 MB/s.
PATIENCE_S, PATIENCE_S_PER_BYTE = 30.0, 1e-6
EVENT_BYTES = 8  # of the time, which takes most


def read(path: Path, content: bytes, size: Size | None) -> Events:
    """Decode a whole file; see `read_events`."""
    require("aedat", "events")
    answer, columns = _HELPER.decode(path, PATIENCE_S + PATIENCE_S_PER_BYTE * len(content))
    if "problem" in answer:
        raise RecordingError(path, f"{answer['problem']}. It is truncated, damaged, or holds no events.")
    own = answer["height"], answer["width"]
    if not all(1 <= side <= MOST_PIXELS for side in own):
        raise RecordingError(path, f"it says that its sensor has (height, width) {own}. It is damaged.")
    if size is not None and size != own:
        raise RecordingError(path, f"its sensor has (height, width) {own}, but {size} is needed here.")
    t, x, y, p = columns
    if len(t) and int(t.max()) >> 62:
        raise RecordingError(path, "it holds a time past 62 bits of microseconds. It is damaged.")
    return check_events(path, Events(t.astype(np.int64), x, y, p, own), lambda i: "in its event stream")


class _Helper:
    """The process that decodes; one file at a time."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def decode(self, path: Path, patience_s: float) -> tuple[dict[str, Any], list[np.ndarray]]:
        """What the helper answers: a record, and the columns t, x, y, p (none if the record tells a problem)."""
        with self.lock:
            process = self._running()
            alarm = threading.Timer(patience_s, process.kill)
            alarm.start()
            try:
                return self._ask(process, path)
            except (EOFError, OSError):
                self.stop()
                return {"problem": "the package aedat crashed or hung on it, or it is too large"}, []
            finally:
                alarm.cancel()

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, aedat4_helper.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # where Rust would print its stack
            )
        return self.process

    def _ask(self, process: subprocess.Popen[bytes], path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(str(path.resolve())).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        answer = json.loads(line)
        if answer.get("count", 0) * EVENT_BYTES > MOST_BYTES:
            raise EOFError
        columns = []
        for dtype in aedat4_helper.COLUMNS if "problem" not in answer else ():
            wanted = answer["count"] * np.dtype(dtype).itemsize
            data = process.stdout.read(wanted)
            if len(data) != wanted:
                raise EOFError
            columns.append(np.frombuffer(data, dtype))
        return answer, columns


_HELPER = _Helper()
atexit.register(_HELPER.stop)
