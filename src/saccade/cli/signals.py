"""Being told to stop: Ctrl-C, SIGTERM and a terminal that is lost all end a command in the same way."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

#: seconds after which a signal whose exception was dropped is sent again
AGAIN_S = 0.1
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

    def send_again(self) -> None:
        """The same signal once more, when whoever dropped its exception has gone on."""
        self.times = max(0, self.times - 1)
        main = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and main is not None:  # to the thread that may be asleep
            again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, self.number))
        else:
            again = threading.Timer(AGAIN_S, signal.raise_signal, (self.number,))
        again.daemon = True
        again.start()


@contextmanager
def told_to_stop() -> Iterator[Told]:
    """While entered, SIGTERM and SIGHUP raise KeyboardInterrupt, unless whoever started this ignores them (nohup).

    Python drops what is raised where nothing can be raised, such as in a callback from C: numba loads compiled code in
    one, and a finalizer is another. The signal is then sent again.
    """
    told = Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.getsignal(number) for number in HEARD}
    changed = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, told.hear)
    dropped = sys.unraisablehook

    def hook(unraisable: UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            told.send_again()
        else:
            dropped(unraisable)

    sys.unraisablehook = hook
    try:
        yield told
    finally:
        sys.unraisablehook = dropped
        for number in changed:
            signal.signal(number, before[number])
