"""The parts of a service in one process, and how a request goes through them."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, BinaryIO, cast

import anyio
from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from semanticodec import Codes, SemantiCodec
from semanticodec.service.admission import Admission
from semanticodec.service.batching import WorkQueue
from semanticodec.service.body import received
from semanticodec.service.coding import Coding, DecodeOptions
from semanticodec.service.metrics import Metrics
from semanticodec.service.refusals import Overloaded
from semanticodec.service.settings import ServiceSettings
from semanticodec.service.waiting import unless_gone

WAV_HEADER_BYTES = 44
SAMPLE_BYTES = 2
MEDIA_TYPES = {"wav": "audio/wav", "flac": "audio/flac"}

MakeCodes = Callable[[BinaryIO], Awaitable[Codes]]


class Service:
    """A codec, its queue and its places.

    Args:
        codec: the codec.
        settings: limits.
        tokens: bearer tokens; none: everybody may ask.
        threads: number of threads that compute.
    """

    def __init__(
        self,
        codec: SemantiCodec,
        settings: ServiceSettings,
        *,
        tokens: Sequence[str] = (),
        threads: int = 1,
    ) -> None:
        self.codec = codec
        self.settings = settings
        self.tokens = tokens
        self.metrics = Metrics()
        self.admission = Admission(settings.max_active, settings.max_waiting, settings.wait_s)
        self.queue = WorkQueue(
            codec.recording_encoder().encode_batch,
            threads=threads,
            batch_windows=settings.batch_windows,
            wait_s=settings.batch_wait_ms / 1000,
            on_batch=self.metrics.batches.observe,
        )
        self.coding = Coding(codec, self.queue, settings.max_samples)

    async def codes(self, request: Request, make: MakeCodes, max_bytes: int) -> Codes:
        """Return the codes that `make` makes of a request's body.

        Raises:
            Overloaded: no place, or not ready in time.
            Refusal: a body beyond the limits.
            SemantiCodecError: what `make` raises.
            ClientGone: nobody waits any more.
        """
        async with self._admitted(request, max_bytes) as (file, stack):
            with self._in_time():
                return await unless_gone(request, self._begin(stack, make, file))

    async def sound(
        self, request: Request, make: MakeCodes, max_bytes: int, options: DecodeOptions
    ) -> SoundResponse:
        """Return the sound of the codes that `make` makes of a request's body, as it is computed.

        Its first piece is computed before, so that what cannot be decoded has a status.

        Raises:
            Overloaded: see `codes`, likewise all others.
        """

        async def begin(stack: AsyncExitStack, file: BinaryIO) -> tuple[bytes, Any, int]:
            codes = await self._begin(stack, make, file)
            pieces = cast(AsyncGenerator[bytes, None], self.coding.decode(codes, options))
            stack.push_async_callback(pieces.aclose)
            return await anext(pieces), pieces, codes.num_samples[0]

        async with self._admitted(request, max_bytes) as (file, stack):
            with self._in_time():
                first, pieces, num_samples = await unless_gone(request, begin(stack, file))
            return SoundResponse(
                _joined(first, pieces),
                stack.pop_all(),
                self.settings.request_s,
                headers=_length_header(options.format, num_samples),
                media_type=MEDIA_TYPES[options.format],
            )

    @asynccontextmanager
    async def _admitted(
        self, request: Request, max_bytes: int
    ) -> AsyncIterator[tuple[BinaryIO, AsyncExitStack]]:
        """Give the body of a request that has been let in, and what it holds until its end."""
        async with AsyncExitStack() as stack:
            stack.enter_context(self.admission.entered())
            body = received(request, max_bytes, self.settings.body_s)
            yield await stack.enter_async_context(body), stack

    async def _begin(self, stack: AsyncExitStack, make: MakeCodes, file: BinaryIO) -> Codes:
        await stack.enter_async_context(self.admission.computing())
        return await make(file)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        seconds = self.settings.request_s
        try:
            with anyio.fail_after(seconds):
                yield
        except TimeoutError as error:
            raise Overloaded(f"no answer within {seconds:g} s; send it again later") from error


class SoundResponse(StreamingResponse):
    """A sound file sent while it is computed; its place is free when it ends, however it does.

    Args:
        pieces: the file.
        held: closed at the end.
        seconds: longest time that the client may take to receive it.
        headers: further headers.
        media_type: its type.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        held: AsyncExitStack,
        seconds: float,
        *,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._held = held
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self._held:
            with anyio.fail_after(self._seconds):
                await super().__call__(scope, receive, send)


async def _joined(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


def _length_header(format: str, num_samples: int) -> dict[str, str]:
    """Return the length where it is known, so that a file that breaks off is noticed."""
    if format != "wav":
        return {}
    return {"Content-Length": str(WAV_HEADER_BYTES + SAMPLE_BYTES * num_samples)}
