"""The helper process of `aedat4`: a path in on each line, a record and the columns of events out.

It is run as a file, not as a module, so that it starts fast and imports nothing of this package.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

MOST_MEMORY = 2**32
#: of t, x, y, p
COLUMNS = ("<u8", "<u2", "<u2", "?")


def decode(path: str) -> tuple[dict[str, Any], np.ndarray]:
    """The size of the sensor and all events of the file's one event stream."""
    import aedat

    decoder = aedat.Decoder(path)
    streams = {i: s for i, s in decoder.id_to_stream().items() if s["type"] == "events"}
    if len(streams) != 1:
        raise ValueError(f"it has {len(streams)} streams of events, and one is needed")
    (stream,) = streams.values()
    packets = [packet["events"] for packet in decoder if "events" in packet]
    return {"height": stream["height"], "width": stream["width"]}, np.concatenate(packets or [np.empty(0, "<u8")])


def answer(path: str) -> None:
    """Decode one file and write to standard output what came of it."""
    try:
        record, events = decode(path)
        columns = [
            np.ascontiguousarray(events[name], dtype)
            for name, dtype in zip("txyp", COLUMNS, strict=True)
            if len(events)
        ]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the package's PanicException is no Exception
        record, columns = {"problem": f"the package aedat says: {error}"}, []
    if "problem" not in record:
        record["count"] = len(columns[0]) if columns else 0
    out = sys.stdout.buffer
    out.write(json.dumps(record).encode() + b"\n")
    for column in columns:
        out.write(column.tobytes())
    out.flush()


def limit_memory() -> None:
    """A damaged file can ask for any amount: then this process ends, and not the machine's memory."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, most))


if __name__ == "__main__":
    limit_memory()
    for line in sys.stdin:
        answer(json.loads(line))
