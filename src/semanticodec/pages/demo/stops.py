"""Requests that are being answered, which those who asked may stop."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stops:
    """What each visitor has asked for and not yet stopped."""

    def __init__(self) -> None:
        self._running: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def running(self, visitor: str) -> Iterator[threading.Event]:
        """Give what is set when a visitor wants a request to stop.

        Args:
            visitor: name that nobody else has.
        """
        event = threading.Event()
        with self._lock:
            self._running[visitor].add(event)
        try:
            yield event
        finally:
            with self._lock:
                self._running[visitor].discard(event)
                if not self._running[visitor]:
                    del self._running[visitor]

    def stop(self, visitor: str) -> None:
        """Stop all that a visitor is waiting for, before its next step."""
        with self._lock:
            for event in self._running.get(visitor, ()):
                event.set()
