"""Bearer tokens: who may use a service."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from semanticodec.errors import ConfigError
from semanticodec.service.refusals import Unauthorized

# Shorter ones can be guessed.
SHORTEST_TOKEN = 16


def read_tokens(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the tokens of a file, one a line; empty lines and those from # on are left out.

    Args:
        path: text file.
    Raises:
        ConfigError: no such file, no token in it, or one of fewer than 16 characters.
    """
    try:
        lines = Path(path).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give a file of tokens") from error
    tokens = tuple(filter(None, (line.strip() for line in lines if not line.startswith("#"))))
    if not tokens:
        raise ConfigError(f"{path} holds no token; write one on each line")
    for token in tokens:
        if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
            raise ConfigError(
                f"{path} holds a token that can be guessed or not be sent; write at least "
                f"{SHORTEST_TOKEN} ASCII characters each, such as `openssl rand -hex 32` prints"
            )
    return tokens


def check_token(given: str | None, tokens: Sequence[str]) -> None:
    """Refuse a request that brings none of the tokens; without tokens everybody is let in.

    Takes the same time whichever token is given.

    Raises:
        Unauthorized: no token, or another.
    """
    if not tokens:
        return
    offered = (given or "").encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(offered, token.encode()) for token in tokens]
    if not any(matches):
        raise Unauthorized("no valid token; send Authorization: Bearer TOKEN")
