"""Work for a client that may go away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from semanticodec.service.refusals import ClientGone

ResultT = TypeVar("ResultT")


async def unless_gone(request: Request, work: Awaitable[ResultT]) -> ResultT:
    """Return the result of `work`, which is cancelled when the client goes away.

    Args:
        request: whose body has been read.
        work: cancelled too when the caller is.
    Raises:
        ClientGone: nobody waits any more.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        gone.cancel()
        working.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
