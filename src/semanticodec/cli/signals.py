"""Signals that end the program: it cleans up first, as after an error."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What Ctrl-C sends; `kill`, `docker stop` and schedulers; a terminal that goes away.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
DEFAULT_HANDLERS = (signal.SIG_DFL, signal.default_int_handler)
FIRST_SIGNAL_STATUS = 128
# A terminal that goes away sends two signals at once: the second is no reason to stop cleaning up.
PAUSE_S = 1.0
RETRY_S = 0.005


class Terminated(SystemExit):
    """A signal that asked the program to end; as an exit, it needs no words in worker processes."""

    def __init__(self, number: int) -> None:
        super().__init__(FIRST_SIGNAL_STATUS + number)


@contextmanager
def termination_raises() -> Iterator[None]:
    """Raise inside the block where SIGINT (KeyboardInterrupt), SIGTERM or SIGHUP arrives.

    A signal that is ignored (`nohup`) or handled already is left alone.
    """
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    previous = {number: signal.getsignal(number) for number in numbers}
    previous = {
        number: handler for number, handler in previous.items() if handler in DEFAULT_HANDLERS
    }
    stop = _Stop()
    try:
        for number in previous:
            signal.signal(number, stop)
    except ValueError:
        previous = {}  # only the main thread may handle signals
    try:
        yield
    finally:
        stop.cancel()
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Stop:
    """The handler of the signals."""

    def __init__(self) -> None:
        self._raised_at = -PAUSE_S

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() - self._raised_at < PAUSE_S:
            return
        if hasattr(signal, "setitimer") and _is_in_callback(frame):
            # What is raised here would be lost: again, when the callback has returned.
            signal.signal(signal.SIGALRM, lambda _, frame: self(number, frame))
            signal.setitimer(signal.ITIMER_REAL, RETRY_S)
            return
        self._raised_at = time.monotonic()
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def cancel(self) -> None:
        """Raise no more."""
        self._raised_at = float("inf")


def _is_in_callback(frame: FrameType | None) -> bool:
    """Return whether libsndfile is calling Python, which swallows what is raised there."""
    while frame is not None:
        is_soundfile = frame.f_globals.get("__name__") == "soundfile"
        if is_soundfile and frame.f_code.co_name.startswith("vio_"):
            return True
        frame = frame.f_back
    return False
