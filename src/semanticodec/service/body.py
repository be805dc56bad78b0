"""The body of a request as a file: no larger and no slower than allowed, however it is sent."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect

from semanticodec.service.refusals import ClientGone, TooLarge, TooSlow

# Larger bodies, and those of unknown length, stand on disk: memory is bounded by the number of
# requests.
LARGEST_IN_MEMORY = 1 << 20


@asynccontextmanager
async def received(request: Request, max_bytes: int, seconds: float) -> AsyncIterator[BinaryIO]:
    """Give the body as a file that stands at its start.

    Args:
        request: whose body nobody has read.
        max_bytes: largest body; a longer one is refused as soon as that is known.
        seconds: time to receive it in.
    Raises:
        TooLarge: more bytes, announced or sent.
        TooSlow: not there in time, such as one that is shorter than announced.
        ClientGone: the connection broke.
    """
    announced = _announced(request)
    if announced is not None and announced > max_bytes:
        raise _too_large(max_bytes)
    is_small = announced is not None and announced <= LARGEST_IN_MEMORY
    with io.BytesIO() if is_small else tempfile.TemporaryFile() as file:
        size = 0
        try:
            with anyio.fail_after(seconds):
                async for block in request.stream():
                    size += len(block)
                    if size > max_bytes:
                        raise _too_large(max_bytes)
                    file.write(block)
        except TimeoutError as error:
            raise TooSlow(
                f"{size} bytes of the body came in {seconds:g} s; send all of it in that time"
            ) from error
        except ClientDisconnect as error:
            raise ClientGone from error
        file.seek(0)
        yield cast(BinaryIO, file)


def _announced(request: Request) -> int | None:
    """Return the length that the head tells; None: the body comes in chunks until it ends."""
    text = request.headers.get("content-length", "")
    return int(text[:20]) if text.isdecimal() and text.isascii() else None


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body has more than {max_bytes} bytes; send it in parts")
