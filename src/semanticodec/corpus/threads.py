"""Shards made by threads of this process, which share the model: one thread of torch in each.

An operation of the model waits for the slowest of its threads, and for any core that a neighbor
takes away. Work that goes to cores by shards waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import torch

from semanticodec.corpus.journal import ShardDone
from semanticodec.corpus.plan import ShardPlace


class Stopped(Exception):
    """The run ends; raised inside the threads."""


def run_in_threads(
    make: Callable[[ShardPlace, Callable[[], None]], ShardDone],
    places: Iterable[ShardPlace],
    jobs: int,
) -> Iterator[ShardDone]:
    """Yield shards as they are finished.

    Args:
        make: makes one shard; calls its second argument now and then, which raises `Stopped`.
        places: shards to make, asked for one by one.
        jobs: number of threads.
    Raises:
        BaseException: the first that `make` raises; the other threads stop then.
    """
    stopped = threading.Event()
    threads = torch.get_num_threads()

    def check() -> None:
        if stopped.is_set():
            raise Stopped

    waiting = iter(places)
    running: set[Future[ShardDone]] = set()
    pool = ThreadPoolExecutor(jobs, "tokenize", initializer=lambda: torch.set_num_threads(1))
    try:
        for place in waiting:
            running.add(pool.submit(make, place, check))
            if len(running) > jobs:  # one waits, so that no thread does
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
