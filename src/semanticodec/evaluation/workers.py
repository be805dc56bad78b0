"""Worker processes that do one task each at a time; one that dies costs its task and no more."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

# Libraries read these once, when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class WorkerCrash:
    """What stands in place of a result when the process that worked on it died."""

    reason: str


def run_tasks(
    make_work: Callable[[], Callable[[TaskT], ResultT]],
    tasks: Sequence[TaskT],
    *,
    jobs: int,
    threads: int,
) -> Generator[tuple[TaskT, ResultT | WorkerCrash], None, None]:
    """Yield every task with its result, as they finish.

    Args:
        make_work: called once in each process, gives what does a task there; both, tasks and
            results must be picklable, and the work should turn its own errors into results.
        tasks: begun in this order.
        jobs: number of processes.
        threads: CPU threads of each.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    finished: SimpleQueue[Future[Any]] = SimpleQueue()
    with _limited_threads(threads):
        pool = ProcessPool(max_workers=jobs, context=spawn)
        try:
            waiting: dict[Future[Any], TaskT] = {}
            for task in tasks:
                future = pool.schedule(_work, args=[make_work, task])
                waiting[future] = task
                future.add_done_callback(finished.put)
            while waiting:
                future = finished.get()
                yield waiting.pop(future), _result(future)
        finally:
            pool.stop()
            pool.join()


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except ProcessExpired as death:
        return WorkerCrash(reason=_describe_exit(death.exitcode))
    except Exception as error:
        # Work that cannot even be made, or a result that cannot be sent.
        text = f"{type(error).__name__}: {error}"
        return WorkerCrash(reason=f"the process that worked on it failed ({text})")


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    """Limit the threads of processes that start meanwhile; this one has loaded its libraries."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update({name: str(threads) for name in THREAD_VARIABLES})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _describe_exit(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; was the memory full?" if name == "SIGKILL" else ""
        return f"the process that worked on it was killed by {name}{hint}"
    return f"the process that worked on it ended (exit status {code})"


# What does the tasks of this worker process; made by its first task, which a crash is blamed on.
_worker: Callable[[Any], Any] | None = None


def _work(make_work: Callable[[], Callable[[Any], Any]], task: Any) -> Any:
    global _worker
    if _worker is None:
        # Ctrl-C reaches the whole group; the parent alone decides what ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Stdout belongs to the command's own report; libraries that print must not break it.
        os.dup2(2, 1)
        _worker = make_work()
    return _worker(task)
