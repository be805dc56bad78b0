"""Around the application: every answer names the model and is counted, timed and logged."""

from __future__ import annotations

import time
import uuid
from collections.abc import Container

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semanticodec.service.log import log
from semanticodec.service.metrics import Metrics

MODEL_HEADER = "Model-Fingerprint"
ID_HEADER = "Request-Id"
OTHER = "other"
# nginx's status of a request that nobody waited for.
CLIENT_GONE = 499
FAILED = 500


class Observed:
    """An application that is watched.

    Args:
        app: the application.
        fingerprint: name of the model.
        metrics: told of every answer.
        paths: paths that metrics name; all others are "other", since clients invent them.
        unlogged: paths that probes ask for all the time.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        fingerprint: bytes,
        metrics: Metrics,
        paths: Container[str],
        unlogged: Container[str],
    ) -> None:
        self._app = app
        self._model = (MODEL_HEADER.lower().encode(), fingerprint.hex().encode())
        self._metrics = metrics
        self._paths = paths
        self._unlogged = unlogged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope)
        own_headers = [self._model, (ID_HEADER.lower().encode(), answer.id.encode())]

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                message["headers"] = [*message["headers"], *own_headers]
            await send(message)
            if message["type"] == "http.response.body":
                answer.num_bytes += len(message.get("body", b""))
                answer.is_complete = not message.get("more_body", False)

        self._metrics.inside.inc()
        try:
            await self._app(scope, receive, watched_send)
        finally:
            self._metrics.inside.dec()
            self._report(answer)

    def _report(self, answer: _Answer) -> None:
        elapsed_s = time.perf_counter() - answer.started
        path = answer.path if answer.path in self._paths else OTHER
        self._metrics.requests.labels(path, str(answer.status)).inc()
        self._metrics.seconds.labels(path).observe(elapsed_s)
        if path not in self._unlogged:
            log(
                "answered" if answer.is_complete else "broken off",
                id=answer.id,
                method=answer.method,
                path=path,
                status=answer.status,
                num_bytes=answer.num_bytes,
                seconds=round(elapsed_s, 4),
            )


class _Answer:
    """What is known of an answer."""

    def __init__(self, scope: Scope) -> None:
        self.id = uuid.uuid4().hex
        self.method = str(scope["method"])
        self.path = str(scope["path"])
        self.status = FAILED
        self.num_bytes = 0
        self.is_complete = False
        self.started = time.perf_counter()
