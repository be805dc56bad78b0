"""A service on a port: one process, or several workers that share it.

parent: listens, starts workers, replaces one that dies, passes on the signal to stop
worker: loads the model, then takes connections from the port that all of them share
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import uvicorn
from prometheus_client.multiprocess import mark_process_dead

from semanticodec import SemantiCodec
from semanticodec.errors import ConfigError, SemantiCodecError
from semanticodec.service.app import make_app
from semanticodec.service.connections import head_in_time
from semanticodec.service.log import log, log_to_stderr
from semanticodec.service.metrics import SHARED_FOLDER
from semanticodec.service.service import Service
from semanticodec.service.settings import ServiceSettings

# Connections that may wait for a worker.
BACKLOG = 2048
# Seconds that workers have beyond the time that requests have.
STOP_MARGIN_S = 10
# A worker that dies sooner is not replaced at once.
LEAST_LIFE_S = 1.0
# Exit status of a worker that no other one would do better than.
CANNOT_SERVE = 2


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """Which model a process serves, and with how many threads.

    Attributes:
        options: arguments of `SemantiCodec.from_pretrained`.
        threads: number of threads that compute.
    """

    options: dict[str, Any]
    threads: int

    def load(self) -> SemantiCodec:
        """Return the model; from here on torch computes in one thread wherever it is called."""
        torch.set_num_threads(1)
        return SemantiCodec.from_pretrained(**self.options)


def serve(
    listening: socket.socket,
    model: ServedModel,
    settings: ServiceSettings,
    tokens: Sequence[str] = (),
) -> None:
    """Answer requests until a signal ends the process; those inside are answered before.

    Args:
        listening: socket to take connections from.
        model: what to serve.
        settings: limits.
        tokens: bearer tokens; none: everybody may ask.
    Raises:
        CheckpointError: the model cannot be loaded.
    """
    log_to_stderr()
    service = Service(model.load(), settings, tokens=tokens, threads=model.threads)
    config = uvicorn.Config(
        make_app(service),
        http=head_in_time(settings.body_s),
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
    address = listening.getsockname()
    log("ready", host=address[0], port=address[1], model=service.codec.model_fingerprint.hex())
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        log("stopped")


def serve_workers(
    num_workers: int,
    listening: socket.socket,
    model: ServedModel,
    settings: ServiceSettings,
    tokens: Sequence[str] = (),
) -> None:
    """Answer requests in several processes, whose connections wait in one line.

    Args:
        num_workers: number of processes.
        listening: see `serve`, likewise the others.
        model: what each of them loads.
        settings: limits of each.
        tokens: bearer tokens.
    Raises:
        ConfigError: the workers cannot load the model.
    """
    log_to_stderr()
    context = multiprocessing.get_context("spawn")  # a fork would lose torch's threads

    def started() -> BaseProcess:
        worker = context.Process(target=_work, args=(listening, model, settings, tokens))
        worker.start()
        return worker

    with tempfile.TemporaryDirectory(prefix="semanticodec-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        workers: list[BaseProcess] = []
        try:
            workers += [started() for _ in range(num_workers)]
            while True:
                began = time.monotonic()
                ended = wait([worker.sentinel for worker in workers])
                if time.monotonic() - began < LEAST_LIFE_S:
                    time.sleep(LEAST_LIFE_S)
                for worker in [worker for worker in workers if worker.sentinel in ended]:
                    log("worker lost", worker=worker.pid, status=worker.exitcode)
                    if worker.exitcode == CANNOT_SERVE:
                        raise ConfigError("the workers cannot serve; the log says why")
                    mark_process_dead(worker.pid)
                    workers.remove(worker)
                    workers.append(started())
        finally:
            _stop(workers, settings.drain_s + STOP_MARGIN_S)
            del os.environ[SHARED_FOLDER]


def _stop(workers: Sequence[BaseProcess], seconds: float) -> None:
    """Let all workers finish their requests; kill what takes too long."""
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            worker.kill()
            worker.join()


def _work(
    listening: socket.socket, model: ServedModel, settings: ServiceSettings, tokens: Sequence[str]
) -> None:
    """Be a worker."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve(listening, model, settings, tokens)
    except SemantiCodecError as error:
        log("cannot serve", reason=str(error))
        raise SystemExit(CANNOT_SERVE) from None


def _end_with_parent() -> None:
    """Stop this process as a signal does when its parent has gone without one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
