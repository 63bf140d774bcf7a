"""A signal ends a command, wherever it comes."""

from __future__ import annotations

import ctypes
import signal
import threading
import time

import pytest

from saccade.cli.signals import told_to_stop

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only the main thread hears signals"
)
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Dies:
    """Whose finalizer is being run when the signal comes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


def in_a_callback(number: int) -> None:
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(number))()


def in_a_finalizer(number: int) -> None:
    Dies(number)


def work(place, number: int) -> None:
    """Longer than a signal takes to come again."""
    place(number)
    time.sleep(5)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("place", [signal.raise_signal, in_a_callback, in_a_finalizer])
def test_a_signal_is_not_lost(place, number):
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), told_to_stop() as told:
        work(place, number)
    assert told.number == number
    assert told.times <= 1
    assert time.monotonic() - begun < 5, "it came when the work was done"


def test_what_else_is_dropped_is_still_said(monkeypatch):
    said = []
    monkeypatch.setattr("sys.unraisablehook", said.append)
    with told_to_stop():
        ctypes.CFUNCTYPE(None)(lambda: 1 // 0)()
    assert isinstance(said[0].exc_value, ZeroDivisionError)
