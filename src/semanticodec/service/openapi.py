"""What the schema says of bodies, which are read by hand: their types, examples and answers."""

from __future__ import annotations

from typing import Any

from semanticodec.service.json_codes import JsonCodes
from semanticodec.service.observed import MODEL_HEADER

SMTC = "application/vnd.semanticodec"
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
SOUND_TYPES = ("audio/wav", "audio/flac", "audio/mpeg", "audio/ogg", "application/octet-stream")
EXAMPLE_CODES = {
    "token_rate": 100,
    "semantic_vocab_size": 16384,
    "acoustic_vocab_size": 8192,
    "num_samples": 2560,
    "fingerprint": "0" * 16,
    "semantic": [17, 4099, 12, 900, 16383, 5, 77, 2048],
    "acoustic": [1, 8191, 640, 33, 12, 900, 5, 4096],
}
DETAIL = {
    "type": "object",
    "properties": {"detail": {"type": "string"}},
    "required": ["detail"],
}
NAMED_MODEL = {
    MODEL_HEADER: {
        "description": "hexadecimal name of the model that answers",
        "schema": {"type": "string"},
    }
}
REFUSALS = {
    401: ("no valid token", "no valid token; send Authorization: Bearer TOKEN"),
    408: ("the body did not arrive in time", "0 bytes of the body came in 30 s; send all of it"),
    413: ("a body or recording beyond the limits", "the recording lasts more than 600 s"),
    422: ("what was sent cannot be used", "the audio stream is empty; give a sound file"),
    503: ("more work than is taken; see Retry-After", "80 requests are being answered"),
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the schema's words on refusals."""
    return {status: _refusal(*REFUSALS[status]) for status in statuses}


def _refusal(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": NAMED_MODEL,
        "content": {"application/json": {"schema": DETAIL, "example": {"detail": example}}},
    }


def answers(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the schema's words on an answer in bytes, and on all refusals of a body."""
    content = dict.fromkeys(media_types, BINARY)
    done = {"description": description, "headers": NAMED_MODEL, "content": content}
    return {200: done, **refusals(*REFUSALS)}


SOUND_BODY = {
    "requestBody": {
        "description": "a sound file: wav, flac, ogg, opus, mp3; any rate, any channels",
        "required": True,
        "content": dict.fromkeys(SOUND_TYPES, BINARY),
    }
}
CODES_BODY = {
    "requestBody": {
        "description": "a .smtc file, or codes as JSON",
        "required": True,
        "content": {
            "application/json": {
                "schema": JsonCodes.model_json_schema(),
                "example": EXAMPLE_CODES,
            },
            SMTC: BINARY,
            "application/octet-stream": BINARY,
        },
    }
}
