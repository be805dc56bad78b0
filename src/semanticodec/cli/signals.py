"""Signals that end the program: it cleans up first, as after an error."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What `kill`, `docker stop` and schedulers send, and what a terminal sends that goes away.
NAMES = ("SIGTERM", "SIGHUP")
FIRST_SIGNAL_STATUS = 128


class Terminated(SystemExit):
    """A signal that asked the program to end; as an exit, it needs no words in worker processes."""

    def __init__(self, number: int) -> None:
        super().__init__(FIRST_SIGNAL_STATUS + number)


@contextmanager
def termination_raises() -> Iterator[None]:
    """Raise `Terminated` inside the block where SIGTERM or SIGHUP arrives.

    A signal that is ignored (`nohup`) or handled already is left alone.
    """
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]

    def stop(number: int, frame: FrameType | None) -> None:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)  # nothing disturbs the cleaning up
        raise Terminated(number)

    try:
        for number in taken:
            signal.signal(number, stop)
    except ValueError:
        taken = []  # only the main thread may handle signals
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
