"""Being told to stop: Ctrl-C, SIGTERM and a terminal that is lost all end a command in the same way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: what is heard, besides Ctrl-C, which Python hears itself
HEARD = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


class Told:
    """Which signal has come."""

    def __init__(self) -> None:
        self.number: int = signal.SIGINT
        self.times = 0

    @property
    def exit_code(self) -> int:
        """What a shell reports for a command that this signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number

    def __str__(self) -> str:
        return f"Stopped by {signal.Signals(self.number).name}."

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The first time, leave what is being done; the third time, leave at once."""
        self.number, self.times = number, self.times + 1
        if self.times > 2:
            os._exit(self.exit_code)
        raise KeyboardInterrupt


@contextmanager
def told_to_stop() -> Iterator[Told]:
    """While entered, SIGTERM and SIGHUP raise KeyboardInterrupt, unless whoever started this ignores them (nohup)."""
    told = Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.getsignal(number) for number in HEARD}
    changed = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, told.hear)
    try:
        yield told
    finally:
        for number in changed:
            signal.signal(number, before[number])
