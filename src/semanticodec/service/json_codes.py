"""Codes as JSON: what `/v1/encode?format=json` gives and `/v1/decode` takes."""

from __future__ import annotations

from typing import Annotated, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semanticodec.codes import UNKNOWN_FINGERPRINT, Codes
from semanticodec.errors import CodesError
from semanticodec.token_format import SAMPLE_RATE, TokenFormat

CodeList = list[Annotated[int, Field(ge=0, lt=1 << 32)]]
UNKNOWN = UNKNOWN_FINGERPRINT.hex()


class JsonCodes(BaseModel):
    """The codes of one recording, as the attributes of `Codes`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    token_rate: int = Field(description="tokens per second: 25, 50 or 100", examples=[100])
    semantic_vocab_size: int = Field(ge=1, lt=1 << 32, examples=[16384])
    acoustic_vocab_size: int = Field(ge=1, lt=1 << 32, examples=[8192])
    num_samples: int = Field(ge=1, lt=1 << 48, description="length at 16 kHz", examples=[2560])
    fingerprint: str = Field(
        default=UNKNOWN,
        pattern="^[0-9a-f]{16}$",
        description="hexadecimal name of the model; zeros: unknown",
    )
    semantic: CodeList = Field(description="semantic codes, one per position")
    acoustic: CodeList = Field(description="acoustic codes, one per position")


def json_codes(codes: Codes) -> JsonCodes:
    """Return the codes of one recording as what JSON says of them."""
    return JsonCodes(
        token_rate=codes.token_rate,
        semantic_vocab_size=codes.semantic_vocab_size,
        acoustic_vocab_size=codes.acoustic_vocab_size,
        num_samples=codes.num_samples[0],
        fingerprint=codes.fingerprint.hex(),
        semantic=codes.semantic[0].tolist(),
        acoustic=codes.acoustic[0].tolist(),
    )


def codes_of_json(file: BinaryIO) -> Codes:
    """Return the codes that JSON stands for.

    Raises:
        CodesError: not such JSON, or values that do not fit together.
    """
    try:
        given = JsonCodes.model_validate_json(file.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise CodesError(
            f"{place}: {first['msg']}; send codes as /v1/encode?format=json gives them"
        ) from error
    return Codes(
        [given.semantic],
        [given.acoustic],
        (given.num_samples,),
        TokenFormat(
            token_rate=given.token_rate,
            semantic_vocab_size=given.semantic_vocab_size,
            acoustic_vocab_size=given.acoustic_vocab_size,
            sample_rate=SAMPLE_RATE,
        ),
        fingerprint=bytes.fromhex(given.fingerprint),
    )
