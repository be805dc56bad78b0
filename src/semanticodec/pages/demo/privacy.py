"""Nothing is reported to anybody: not by Gradio, and not by the Hub's client, which it uses."""

from __future__ import annotations

import os


def report_nothing() -> None:
    """Turn reports off; both packages read this once, when they are first imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
