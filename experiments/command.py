"""What the experiments' command lines share."""

from __future__ import annotations

import argparse

from semanticodec.cli.options import Parser


def experiment_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of `python -m experiments.NAME`."""
    return Parser(
        prog=f"python -m experiments.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
