"""Logs as lines of JSON; they hold neither sound nor codes nor tokens, nor addresses' queries."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

LOGGER = logging.getLogger("semanticodec.service")
# uvicorn's words on connections: broken requests, errors of the application.
LOGGERS = (LOGGER.name, "uvicorn.error")
FIELDS = "fields"


def log(message: str, **values: Any) -> None:
    """Write a line: what happened, and values by name."""
    LOGGER.info(message, extra={FIELDS: values})


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, message, and the record's own values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write the lines of this process to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(level if name == LOGGER.name else logging.WARNING)
