"""What a service takes and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from semanticodec.errors import ConfigError
from semanticodec.token_format import SAMPLE_RATE, TokenFormat

MEGABYTE = 1 << 20
# A code in JSON: up to five digits, a comma and a space.
JSON_CODE_BYTES = 8
JSON_FIELDS_BYTES = 4096
# A `.smtc` stream of blocks of one column has 6 bytes around every 4 positions.
CONTAINER_OVERHEAD = 3


def _setting(default: float, lowest: float, help: str) -> Any:
    return field(default=default, metadata={"lowest": lowest, "help": help})


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """Limits of a service; each worker process has its own.

    Attributes:
        max_body_mb: largest body of a request, in MiB.
        max_seconds: longest recording, in seconds of sound.
        max_active: number of requests computed at a time.
        max_waiting: number of requests that may wait for that; more are refused.
        wait_s: seconds that a request waits before it is refused.
        body_s: seconds in which a request's head, and then its body, has to be there.
        request_s: seconds in which a request is answered, its sound included.
        drain_s: seconds that requests have to end once the service is told to stop.
        batch_windows: number of windows of different requests encoded together.
        batch_wait_ms: milliseconds that a window waits for others.
    Raises:
        ConfigError: a value below what is possible.
    """

    max_body_mb: int = _setting(64, 1, "largest body of a request, in MiB")
    max_seconds: float = _setting(600.0, 0.025, "longest recording, in seconds of sound")
    max_active: int = _setting(16, 1, "number of requests computed at a time")
    max_waiting: int = _setting(64, 0, "number of requests that may wait; more are refused")
    wait_s: float = _setting(10.0, 0.0, "seconds that a request waits before it is refused")
    body_s: float = _setting(30.0, 0.01, "seconds for a request to arrive")
    request_s: float = _setting(300.0, 0.01, "seconds for a request to be answered")
    drain_s: int = _setting(30, 1, "seconds for requests to end when the service stops")
    batch_windows: int = _setting(8, 1, "number of windows of all requests encoded together")
    batch_wait_ms: float = _setting(5.0, 0.0, "milliseconds that a window waits for others")

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, lowest = getattr(self, setting.name), setting.metadata["lowest"]
            if not value >= lowest:
                raise ConfigError(f"{setting.name} is {value}; give {lowest} or more")

    @property
    def max_body_bytes(self) -> int:
        """Largest body of a request."""
        return self.max_body_mb * MEGABYTE

    @property
    def max_samples(self) -> int:
        """Longest recording, at 16 kHz."""
        return round(self.max_seconds * SAMPLE_RATE)

    def max_json_bytes(self, format: TokenFormat) -> int:
        """Return the largest body of codes as JSON: parsed, it takes ten times its size."""
        num_codes = 2 * format.num_positions(self.max_samples)
        return min(self.max_body_bytes, num_codes * JSON_CODE_BYTES + JSON_FIELDS_BYTES)

    def max_container_bytes(self, format: TokenFormat) -> int:
        """Return the largest body of codes as a `.smtc` stream."""
        num_codes = 2 * format.num_positions(self.max_samples)
        return min(self.max_body_bytes, num_codes * CONTAINER_OVERHEAD + JSON_FIELDS_BYTES)
