"""Shards made by threads of this process, which share the model: one thread of torch in each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait

from semanticodec.corpus.journal import ShardDone
from semanticodec.corpus.plan import ShardPlace
from semanticodec.parallel import single_threads


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

    def check() -> None:
        if stopped.is_set():
            raise Stopped

    running: set[Future[ShardDone]] = set()
    with single_threads(jobs) as pool:
        try:
            for place in places:
                running.add(pool.submit(make, place, check))
                if len(running) > jobs:  # one waits, so that no thread does
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            stopped.set()
