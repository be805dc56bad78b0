"""Pieces of work for several cores of a CPU: one thread of torch for each piece.

Threads that share an operation wait for the slowest of them, at every operation: a busy neighbor
on one core stops all of them. Pieces that go to cores whole wait for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

ValueT = TypeVar("ValueT")
ResultT = TypeVar("ResultT")


@contextmanager
def single_threads(number: int, threads_each: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads in each of which torch computes alone.

    Args:
        number: number of threads.
        threads_each: number of torch's threads in each, where there are cores to spare.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(number, initializer=lambda: torch.set_num_threads(threads_each))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # threads that others start take the last number set


class BoundedPool:
    """A pool for many that give it work: whoever gives too much waits.

    Args:
        pool: threads that do the work.
        room: number of pieces that are in the pool at most, those in work among them.
    """

    def __init__(self, pool: ThreadPoolExecutor, room: int) -> None:
        self._pool, self._room = pool, threading.BoundedSemaphore(room)

    def submit(self, work: Callable[[ValueT], ResultT], value: ValueT) -> Future[ResultT]:
        """Have `work(value)` done; returns once there is room for it."""
        self._room.acquire()
        try:
            future = self._pool.submit(work, value)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future


def in_order(
    work: Callable[[ValueT], ResultT],
    values: Iterable[ValueT],
    threads: int,
    threads_each: int = 1,
) -> Iterator[ResultT]:
    """Yield the results of `work`, done in several threads, in the order of `values`.

    Args:
        work: called in the threads.
        values: taken in this thread, one more than there are threads ahead of the results.
        threads: number of threads.
        threads_each: see `single_threads`.
    """
    waiting: deque[Future[ResultT]] = deque()
    with single_threads(threads, threads_each) as pool:
        for value in values:
            waiting.append(pool.submit(work, value))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
