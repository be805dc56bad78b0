"""Shards made by threads of this process, which share the model.

for each shard:  one thread reads, one gathers batches of windows and writes files
for each core:   one thread with the model, which takes batches of whatever shard

So all cores have work up to the last batch, however the sound is spread over the shards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from semanticodec.corpus.journal import ShardDone
from semanticodec.corpus.plan import ShardPlace
from semanticodec.parallel import BoundedPool, single_threads

# One batch waits for each thread, so that none waits for a batch.
BATCHES_PER_THREAD = 2


class Stopped(Exception):
    """The run ends; raised inside the threads."""


@contextmanager
def model_threads(number: int) -> Iterator[BoundedPool]:
    """Give threads for batches of windows, with one thread of torch each.

    Args:
        number: number of threads.
    """
    with single_threads(number) as pool:
        yield BoundedPool(pool, BATCHES_PER_THREAD * number)


def run_in_threads(
    make: Callable[[ShardPlace, BoundedPool, Callable[[], None]], ShardDone],
    places: Iterable[ShardPlace],
    jobs: int,
) -> Iterator[ShardDone]:
    """Yield shards as they are finished.

    Args:
        make: makes one shard, with the threads that have the model; calls its third argument now
            and then, which raises `Stopped`.
        places: shards to make, asked for one by one.
        jobs: number of threads with the model. One shard more is in work at a time, so that
            beginning and ending one leaves no thread without batches.
    Raises:
        BaseException: the first that `make` raises; the other threads stop then.
    """
    stopped = threading.Event()

    def check() -> None:
        if stopped.is_set():
            raise Stopped

    running: set[Future[ShardDone]] = set()
    with model_threads(jobs) as models:
        pool = ThreadPoolExecutor(jobs + 1)
        try:
            for place in places:
                running.add(pool.submit(make, place, models, check))
                if len(running) > jobs + 1:  # one waits, so that no thread does
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
