"""The demo page on the web server that Gradio brings."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from semanticodec.pages.demo.privacy import report_nothing
from semanticodec.pages.demo.visits import Visits


@contextmanager
def served(visits: Visits, host: str, port: int | None, is_shown: bool = False) -> Iterator[str]:
    """Serve the page while the context lasts; uploads are gone with it.

    Args:
        visits: answers to what visitors ask for.
        host: address to listen at; 0.0.0.0 lets other computers in.
        port: port to listen at; None for the first free one from 7860 on.
        is_shown: whether to open the page in the user's browser.
    Yields:
        The address of the page.
    Raises:
        MissingDependencyError: gradio is not installed.
        OSError: the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="semanticodec-demo-") as uploads:
        report_nothing()
        os.environ["GRADIO_TEMP_DIR"] = uploads
        # Here, as gradio is an extra, and reads its settings when it is imported.
        from semanticodec.pages.demo.layout import build_page, launch_options

        page = build_page(visits)
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=is_shown,
            max_file_size=visits.limits.max_bytes,
            **launch_options(),
        )
        try:
            yield address
        finally:
            page.close(verbose=False)


def wait_forever() -> None:
    """Return never; Ctrl-C and signals raise."""
    threading.Event().wait()
