"""Processes that keep cores busy beside what is measured."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def add_neighbors_option(parser: argparse.ArgumentParser) -> None:
    """Add --neighbors."""
    parser.add_argument(
        "--neighbors", type=int, default=0, metavar="N", help="number of busy processes beside"
    )


@contextmanager
def busy_neighbors(number: int) -> Iterator[None]:
    """Keep as many processes multiplying matrices."""
    code = "import numpy; a = numpy.ones((512, 512))\nwhile True: a @ a"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(number)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
