"""Worker processes that do one task each at a time; one that dies costs its task and no more.

`concurrent.futures` would give up the whole pool with the first process that is killed, without
saying which task it held; a long evaluation has to survive that and to name the clip.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

# Libraries read these once, when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
JOIN_S = 5


@dataclass(frozen=True, kw_only=True)
class Death:
    """What stands in place of a result when the process that worked on it died."""

    reason: str


@dataclass(kw_only=True)
class _Worker(Generic[TaskT]):
    process: SpawnProcess
    connection: Connection
    task: TaskT | None = None


def run_tasks(
    make_work: Callable[[], Callable[[TaskT], ResultT]],
    tasks: Sequence[TaskT],
    *,
    jobs: int,
    threads: int,
) -> Generator[tuple[TaskT, ResultT | Death], None, None]:
    """Yield every task with its result, as they finish.

    Args:
        make_work: called once in each process, gives what does a task there; both, tasks and
            results must be picklable, and the work should turn its own errors into results.
        tasks: begun in this order.
        jobs: how many processes.
        threads: CPU threads of each.
    """
    waiting = deque(tasks)
    workers: list[_Worker[TaskT]] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                worker: _Worker[TaskT] = _start(make_work, threads)
                workers.append(worker)
                _give(worker, waiting.popleft())
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                task = worker.task
                assert task is not None
                result = _take(worker)
                if isinstance(result, Death) or not waiting:
                    _stop(worker)
                    workers.remove(worker)
                else:
                    _give(worker, waiting.popleft())
                yield task, result
    finally:
        for worker in workers:
            worker.process.terminate()
            _stop(worker)


def _start(make_work: Callable[[], Callable[[TaskT], ResultT]], threads: int) -> _Worker[TaskT]:
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make_work), daemon=True)
    with _limited_threads(threads):
        process.start()
    theirs.close()  # so that its death ends the pipe
    return _Worker(process=process, connection=ours)


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
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


def _give(worker: _Worker[TaskT], task: TaskT) -> None:
    worker.task = task
    with suppress(OSError):  # it has died: the end of its pipe says so next
        worker.connection.send(task)


def _take(worker: _Worker[TaskT]) -> Any:
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(JOIN_S)
        return Death(reason=_describe_exit(worker.process.exitcode))


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; was the memory full?" if name == "SIGKILL" else ""
        return f"the process that worked on it was killed by {name}{hint}"
    return f"the process that worked on it ended (exit status {code})"


def _stop(worker: _Worker[TaskT]) -> None:
    worker.connection.close()
    worker.process.join(JOIN_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _serve(connection: Connection, make_work: Callable[[], Callable[[Any], Any]]) -> None:
    """Do what comes through the pipe until it ends."""
    # Ctrl-C reaches the whole group; the parent alone decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Stdout belongs to the command's own report; libraries that print must not break it.
    os.dup2(2, 1)
    work = make_work()
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(work(task))
