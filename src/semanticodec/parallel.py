"""Pieces of work for several cores of a CPU: one thread of torch for each piece.

Threads that share an operation wait for the slowest of them, at every operation: a busy neighbor
on one core stops all of them. Pieces that go to cores whole wait for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

ValueT = TypeVar("ValueT")
ResultT = TypeVar("ResultT")


@contextmanager
def single_threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads in each of which torch computes alone.

    Args:
        number: number of threads.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(number, initializer=lambda: torch.set_num_threads(1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # threads that others start take the last number set


def in_order(
    work: Callable[[ValueT], ResultT], values: Iterable[ValueT], threads: int
) -> Iterator[ResultT]:
    """Yield the results of `work`, done in several threads, in the order of `values`.

    Args:
        work: called in the threads.
        values: taken in this thread, one more than there are threads ahead of the results.
        threads: number of threads.
    """
    waiting: deque[Future[ResultT]] = deque()
    with single_threads(threads) as pool:
        for value in values:
            waiting.append(pool.submit(work, value))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
