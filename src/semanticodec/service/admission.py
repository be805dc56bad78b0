"""How many requests are inside: some are computed, some wait, the others are refused at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from semanticodec.service.refusals import Overloaded


class Admission:
    """The places of one worker process.

    Args:
        max_active: number of requests computed at a time.
        max_waiting: number of further requests inside.
        wait_s: seconds that one waits for its place.
    Attributes:
        num_inside: requests inside, computed or not.
    """

    def __init__(self, max_active: int, max_waiting: int, wait_s: float) -> None:
        self._places = anyio.Semaphore(max_active)
        self._capacity = max_active + max_waiting
        self._wait_s = wait_s
        self.num_inside = 0

    @property
    def is_full(self) -> bool:
        """Whether another request would be refused."""
        return self.num_inside >= self._capacity

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let a request in, whose body may still have to come.

        Raises:
            Overloaded: no more fit in.
        """
        if self.is_full:
            raise Overloaded(f"{self.num_inside} requests are being answered; send it again later")
        self.num_inside += 1
        try:
            yield
        finally:
            self.num_inside -= 1

    @asynccontextmanager
    async def computing(self) -> AsyncIterator[None]:
        """Wait for a place among those that are computed, and hold it.

        Raises:
            Overloaded: none was free in time.
        """
        try:
            with anyio.fail_after(self._wait_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise Overloaded(
                f"no place was free for {self._wait_s:g} s; send it again later"
            ) from error
        try:
            yield
        finally:
            self._places.release()
