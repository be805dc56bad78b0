"""Requests that are not answered as asked, each with its HTTP status."""

from __future__ import annotations

from semanticodec.errors import SemantiCodecError

RETRY_AFTER_S = 1


class Refusal(SemantiCodecError):
    """Base of what the service itself refuses."""

    status = 400

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        return {}


class Unauthorized(Refusal):
    """A request without one of the service's tokens."""

    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """Name what is asked for (RFC 6750)."""
        return {"WWW-Authenticate": "Bearer"}


class TooSlow(Refusal):
    """A body that does not arrive in time; the connection is closed behind the answer."""

    status = 408

    @property
    def headers(self) -> dict[str, str]:
        """Close the connection: what still comes is no request."""
        return {"Connection": "close"}


class TooLarge(TooSlow):
    """A body or a recording beyond the limits."""

    status = 413


class Overloaded(Refusal):
    """More work than the service takes at the moment; the same request may come again."""

    status = 503

    @property
    def headers(self) -> dict[str, str]:
        """Say when."""
        return {"Retry-After": str(RETRY_AFTER_S)}


class ClientGone(Exception):  # no error of anybody's
    """Nobody waits for the answer any more."""
