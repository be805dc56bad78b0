"""Reading ahead in a thread, so that files are read and resampled while the model computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
# How often a thread that waits looks whether it is still wanted.
WAIT_S = 0.1


def read_ahead(values: Iterable[T], depth: int) -> Iterator[T]:
    """Yield values that another thread takes from `values`, a few ahead; its errors arrive here.

    Args:
        values: iterated in the thread alone; a generator is closed with this one.
        depth: number of values that wait at most.
    """
    waiting: queue.Queue[tuple[bool, object]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(is_value: bool, value: object) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((is_value, value), timeout=WAIT_S)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        iterator = iter(values)
        try:
            if all(put(True, value) for value in iterator):
                put(False, None)
        except BaseException as error:
            put(False, error)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=read, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            is_value, value = waiting.get()
            if is_value:
                yield value  # type: ignore[misc]
            elif isinstance(value, BaseException):
                raise value
            else:
                return
    finally:
        stopped.set()
        thread.join()
