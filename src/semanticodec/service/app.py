"""The endpoints: FastAPI in front of `Service`.

POST /v1/encode       sound file -> .smtc, or codes as JSON
POST /v1/decode       .smtc or JSON -> wav or flac, sent while it is computed
POST /v1/roundtrip    sound file -> what is left of it
GET  /v1/info         model and limits
GET  /healthz /readyz /metrics
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from semanticodec import __version__
from semanticodec.codes import Codes
from semanticodec.errors import AudioError, CheckpointError, CodesError, ConfigError, ContainerError
from semanticodec.service import metrics
from semanticodec.service.coding import DecodeOptions
from semanticodec.service.json_codes import JsonCodes, json_codes
from semanticodec.service.observed import CLIENT_GONE, Observed
from semanticodec.service.openapi import CODES_BODY, SMTC, SOUND_BODY, answers, refusals
from semanticodec.service.refusals import ClientGone, Overloaded, Refusal, TooLarge
from semanticodec.service.service import Service
from semanticodec.service.tokens import check_token

UNUSABLE = 422
USER_ERRORS = (AudioError, CheckpointError, CodesError, ContainerError, ConfigError)
JSON_TYPE = "application/json"
IS_JSON = re.compile(r"application/(\S+\+)?json\b", re.IGNORECASE)
MAX_SEED = (1 << 31) - 1
PROBES = ("/healthz", "/readyz", "/metrics")
PATHS = ("/v1/encode", "/v1/decode", "/v1/roundtrip", "/v1/info", "/openapi.json", *PROBES)

TOKEN_SCHEME = HTTPBearer(auto_error=False, description="a token of the service, if it has any")

SoundFormat = Annotated[Literal["wav", "flac"], Query(description="format of the sound")]
Quality = Annotated[
    Literal["draft", "standard", "best"], Query(description="sampling settings; see /v1/info")
]
Seed = Annotated[int, Query(ge=0, le=MAX_SEED, description="random seed of the noise")]
CodesFormat = Annotated[Literal["smtc", "json"], Query(description="form of the codes")]
Entropy = Annotated[bool, Query(description="entropy-code the .smtc: smaller, the same codes")]


def decode_options(
    format: SoundFormat = "wav", quality: Quality = "standard", seed: Seed = 0
) -> DecodeOptions:
    """Return what the query asks of decoding."""
    return DecodeOptions(format=format, quality=quality, seed=seed)


Options = Annotated[DecodeOptions, Depends(decode_options)]


def make_app(service: Service) -> ASGIApp:
    """Return the application of a service."""
    app = FastAPI(
        title="semanticodec",
        version=__version__,
        summary="A neural codec for speech, music and sound at 25 to 100 tokens per second",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    _add_errors(app)
    _add_coding(app, service)
    _add_probes(app, service)
    return Observed(
        app,
        fingerprint=service.codec.model_fingerprint,
        metrics=service.metrics,
        paths=PATHS,
        unlogged=PROBES,
    )


def _add_errors(app: FastAPI) -> None:
    """Answer every error with one line, {"detail": text}, and nothing of what was sent."""

    def refused(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"detail": text}, status, headers)

    @app.exception_handler(Refusal)
    async def refuse(request: Request, error: Refusal) -> JSONResponse:
        return refused(error.status, str(error), error.headers)

    async def unusable(request: Request, error: Exception) -> JSONResponse:
        return refused(UNUSABLE, str(error))

    for kind in USER_ERRORS:
        app.add_exception_handler(kind, unusable)

    @app.exception_handler(RequestValidationError)
    async def wrong_query(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return refused(UNUSABLE, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def no_such_thing(request: Request, error: HTTPException) -> JSONResponse:
        return refused(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(MemoryError)
    async def too_large(request: Request, error: MemoryError) -> JSONResponse:
        refusal = TooLarge("the recording does not fit in memory; send it in parts")
        return refused(refusal.status, str(refusal), refusal.headers)

    @app.exception_handler(ClientGone)
    async def nobody_waits(request: Request, error: ClientGone) -> Response:
        return Response(status_code=CLIENT_GONE)


def _add_coding(app: FastAPI, service: Service) -> None:
    settings, coding, format = service.settings, service.coding, service.codec.format

    async def allowed(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(TOKEN_SCHEME)],
    ) -> None:
        check_token(given.credentials if given else None, service.tokens)

    needs_token = [Depends(allowed)]

    def answered(path: str, seconds: float) -> None:
        service.metrics.audio_seconds.labels(path).inc(seconds)

    @app.post(
        "/v1/encode",
        dependencies=needs_token,
        response_class=Response,
        responses=_with_json(answers("the codes", SMTC)),
        openapi_extra=SOUND_BODY,
    )
    async def encode(
        request: Request, format: CodesFormat = "smtc", entropy: Entropy = False
    ) -> Response:
        """Return the codes of a sound file."""
        codes = await service.codes(request, coding.encode, settings.max_body_bytes)
        answered("/v1/encode", codes.duration_s[0])
        if format == "json":
            return Response(json_codes(codes).model_dump_json(), media_type=JSON_TYPE)
        return Response(await coding.stream(codes, entropy=entropy), media_type=SMTC)

    @app.post(
        "/v1/decode",
        dependencies=needs_token,
        response_class=Response,
        responses=answers("the sound, sent while it is computed", "audio/wav", "audio/flac"),
        openapi_extra=CODES_BODY,
    )
    async def decode(request: Request, options: Options) -> Response:
        """Return the sound of codes."""
        is_json = bool(IS_JSON.match(request.headers.get("content-type", "")))
        limit = settings.max_json_bytes if is_json else settings.max_container_bytes

        async def make(file: Any) -> Codes:
            codes = await coding.read_codes(file, is_json)
            answered("/v1/decode", codes.duration_s[0])
            return codes

        return await service.sound(request, make, limit(format), options)

    @app.post(
        "/v1/roundtrip",
        dependencies=needs_token,
        response_class=Response,
        responses=answers("the sound, sent while it is computed", "audio/wav", "audio/flac"),
        openapi_extra=SOUND_BODY,
    )
    async def roundtrip(request: Request, options: Options) -> Response:
        """Return what is left of a sound file after encoding and decoding."""

        async def make(file: Any) -> Codes:
            codes = await coding.encode(file)
            answered("/v1/roundtrip", codes.duration_s[0])
            return codes

        return await service.sound(request, make, settings.max_body_bytes, options)

    @app.get("/v1/info", dependencies=needs_token, responses=refusals(401))
    async def info() -> dict[str, Any]:
        """Return the model's setting, what the qualities stand for, and the limits."""
        codec = service.codec
        return {
            "version": __version__,
            "fingerprint": codec.model_fingerprint.hex(),
            "sample_rate": codec.sample_rate,
            "token_rate": codec.token_rate,
            "semantic_vocab_size": codec.semantic_vocab_size,
            "acoustic_vocab_size": codec.acoustic_vocab_size,
            "qualities": {name: asdict(value) for name, value in codec.qualities.items()},
            "limits": asdict(settings),
        }

    @app.get(
        "/metrics", dependencies=needs_token, response_class=Response, responses=_metrics_answers()
    )
    async def read_metrics() -> Response:
        """Return counts and times for Prometheus."""
        return Response(service.metrics.text(), media_type=metrics.CONTENT_TYPE)


def _add_probes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def is_alive() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", responses=refusals(503))
    async def is_ready() -> dict[str, str]:
        """Say whether another request would be taken: the model is loaded before any answer."""
        if service.admission.is_full:
            raise Overloaded(f"{service.admission.num_inside} requests are being answered")
        return {"status": "ready"}


def _with_json(responses: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    responses[200]["content"][JSON_TYPE] = {"schema": JsonCodes.model_json_schema()}
    return responses


def _metrics_answers() -> dict[int | str, dict[str, Any]]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {200: {"description": "Prometheus's text format", "content": text}, **refusals(401)}
