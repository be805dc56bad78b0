"""What Prometheus is told: requests, their time, what is computed, and how full the service is."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

# prometheus_client itself reads it, when it is imported.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16)


class Metrics:
    """The metrics of one process; where SHARED_FOLDER is set, `text` adds up those of all.

    Attributes:
        requests: answers by path and status.
        seconds: time until an answer was complete, by path.
        inside: requests inside.
        audio_seconds: seconds of sound of the requests that were answered, by path.
        batches: windows encoded together.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "semanticodec_requests", "Answers", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "semanticodec_request_seconds",
            "Seconds until an answer was complete",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.inside = Gauge(
            "semanticodec_requests_inside",
            "Requests that are computed or wait",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.audio_seconds = Counter(
            "semanticodec_audio_seconds", "Seconds of sound answered", ["path"], registry=registry
        )
        self.batches = Histogram(
            "semanticodec_batch_windows",
            "Windows encoded together",
            buckets=BATCH_SIZES,
            registry=registry,
        )

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        if not os.environ.get(SHARED_FOLDER):
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)
        return generate_latest(shared)
