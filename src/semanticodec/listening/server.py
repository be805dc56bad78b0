"""The test as a web page: FastAPI in front of `session`, files of `page/` for the browser.

    GET /api/about                            title and mode
    PUT /api/LISTENER                         begin or resume -> state
    GET /api/LISTENER/NUMBER/sounds/INDEX     a wav of a page
    PUT /api/LISTENER/NUMBER                  {"values": [...], "elapsed_s": ...} -> state

All that changes anything is a PUT that may be sent again: a browser that got no reply repeats it.
No name of a condition or file ever leaves the server.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ValidationError

from semanticodec.errors import SemantiCodecError
from semanticodec.listening.session import AnswerError, Test
from semanticodec.listening.storage import AnsweredError, UnknownListenerError

PAGE_FOLDER = Path(__file__).parent / "page"
MAX_BODY_BYTES = 1 << 14  # an answer has some hundred
SHUTDOWN_S = 5
STATUSES = {UnknownListenerError: 404, AnsweredError: 409, AnswerError: 422}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address holds the listener's token
    "Cache-Control": "no-store",  # a page of yesterday's version must not meet today's server
}


class Answer(BaseModel, strict=True, extra="forbid"):
    """The body of an answer."""

    values: list[int]
    elapsed_s: float


def make_app(test: Test) -> FastAPI:
    """Return the application of a test."""
    app = FastAPI(openapi_url=None)  # its own pages of documentation load scripts from elsewhere

    app.middleware("http")(_with_headers)

    @app.exception_handler(SemantiCodecError)
    async def refuse(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, STATUSES.get(type(error), 500))  # type: ignore[arg-type]

    @app.get("/api/about")
    def about() -> dict[str, str]:
        return test.about

    @app.put("/api/{listener}")
    def begin(listener: str) -> dict[str, Any]:
        test.join(listener)
        return test.state(listener)

    @app.get("/api/{listener}/{number}/sounds/{index}")
    def sound(listener: str, number: int, index: int) -> FileResponse:
        return FileResponse(test.sound(listener, number, index), media_type="audio/wav")

    @app.put("/api/{listener}/{number}")
    async def answer(listener: str, number: int, request: Request) -> dict[str, Any]:
        given = _answer(await _body(request))
        await run_in_threadpool(test.answer, listener, number, given.values, given.elapsed_s)
        return await run_in_threadpool(test.state, listener)

    app.mount("/", StaticFiles(directory=PAGE_FOLDER, html=True))
    return app


async def _with_headers(
    request: Request, proceed: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await proceed(request)
    response.headers.update(HEADERS)
    return response


async def _body(request: Request) -> bytes:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY_BYTES:
            raise AnswerError(f"an answer has at most {MAX_BODY_BYTES} bytes")
    return body


def _answer(body: bytes) -> Answer:
    try:
        return Answer.model_validate(json.loads(body))
    except (ValueError, ValidationError, RecursionError) as error:
        raise AnswerError(
            'an answer is {"values": [whole numbers], "elapsed_s": seconds} in JSON'
        ) from error


def serve(test: Test, listening: socket.socket) -> None:
    """Answer requests until a signal ends the process.

    Args:
        test: the test to hold.
        listening: socket to take connections from.
    """
    config = uvicorn.Config(
        make_app(test), log_level="warning", lifespan="off", timeout_graceful_shutdown=SHUTDOWN_S
    )
    uvicorn.Server(config).run(sockets=[listening])
